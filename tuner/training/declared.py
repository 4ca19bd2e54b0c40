"""Trainings that are declared: their parts, and the updates that the engine makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tuner.errors import WorkloadError
from tuner.schedules.torch_adapter import GroupRates

Batch = Any
"""What ``Declaration.batch`` passes to ``Declaration.loss``; nothing else reads it."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The parts of one training, built on its device.

    Example:
        >>> import torch
        >>> from tuner import Declaration
        >>> x = torch.linspace(-1, 1, 8)[:, None]
        >>> model = torch.nn.Linear(1, 1)
        >>> parts = Declaration(
        ...     model=model,
        ...     optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        ...     batch=lambda step: x[step % 8],
        ...     loss=lambda model, batch: ((model(batch) - 2 * batch) ** 2).mean(),
        ...     evaluate=lambda model: ((model(x) - 2 * x) ** 2).mean().item(),
        ... )
        >>> parts.loss(parts.model, parts.batch(0)).shape
        torch.Size([])
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer]
    """The schedule sets its learning rates. Those it was built with only set the ratios between its parameter groups:
    the group with the largest one follows the schedule, a group with half of that follows at half the rate. Of several
    (Muon and AdamW) the first is the reference whose largest rate follows the schedule; all step at every update."""
    batch: Callable[[int], Batch]
    """Update index -> batch; always the same batch for the same seed and index."""
    loss: Callable[[nn.Module, Batch], Tensor]
    """The training loss of a batch: a scalar tensor with a gradient."""
    evaluate: Callable[[nn.Module], float]
    """The value of the workload's metric, the validation loss by default. Called in evaluation mode, without
    gradients."""
    clip_norm: float | None = None
    """Gradients are scaled down to this total norm; ``None`` leaves them."""
    mixed_precision: bool = False
    """Whether losses may be computed in bfloat16 where a CUDA device has it; never on CPU."""


class DeclaredTraining:
    """Makes the updates of a `Declaration`.

    Args:
        declaration: The parts, built on ``device``.
        device: Decides about mixed precision, and whether a loss can be read without waiting for it.

    Raises:
        InvalidValue: No parameter group of the first optimizer has a learning rate above 0.
    """

    def __init__(self, declaration: Declaration, *, device: torch.device) -> None:
        self._parts = declaration
        self._device = device
        self._rates = GroupRates(declaration.optimizer)
        self._optimizers = self._rates.optimizers
        self._autocast = declaration.mixed_precision and device.type == "cuda" and torch.cuda.is_bf16_supported()
        declaration.model.train()

    def train_step(self, step: int, lr: float) -> Tensor:
        """Make one update. On CPU a loss that is not finite is returned without the update that it would spoil."""
        parts = self._parts
        self._rates.set(lr)
        batch = parts.batch(step)
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        with self._precision():
            loss = parts.loss(parts.model, batch)
        if loss.dim() != 0:
            raise WorkloadError(f"the training loss must be a scalar tensor, got the shape {tuple(loss.shape)}")
        if self._device.type == "cpu" and not math.isfinite(loss.item()):
            return loss.detach()
        loss.backward()  # type: ignore[no-untyped-call]
        if parts.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(parts.model.parameters(), parts.clip_norm)
        for optimizer in self._optimizers:
            optimizer.step()
        return loss.detach()

    def validate(self) -> float:
        """The metric's value, in evaluation mode; every module gets its own mode back (some may be frozen)."""
        modes = [(module, module.training) for module in self._parts.model.modules()]
        self._parts.model.eval()
        try:
            with torch.no_grad(), self._precision():
                return self._parts.evaluate(self._parts.model)
        finally:
            for module, mode in modes:
                module.training = mode

    def state_dict(self) -> dict[str, Any]:
        """Model and optimizers."""
        optimizers = [optimizer.state_dict() for optimizer in self._optimizers]
        return {"model": self._parts.model.state_dict(), "optimizers": optimizers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self._parts.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)

    def _precision(self) -> AbstractContextManager[None]:
        return torch.autocast("cuda", dtype=torch.bfloat16) if self._autocast else nullcontext()
