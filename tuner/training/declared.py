"""A declared workload as the stepwise training that the engine knows."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from tuner.errors import WorkloadError
from tuner.training.workload import Declaration

LR_SCALE = "lr_scale"
"""Key of a parameter group: its learning rate is the schedule's times this factor."""


class DeclaredTraining:
    """Makes the updates of a `Declaration`.

    Args:
        declaration: The parts, built on ``device``.
        device: Decides about mixed precision, and whether a loss can be looked at without waiting for it.
    """

    def __init__(self, declaration: Declaration, *, device: torch.device) -> None:
        self._parts = declaration
        self._device = device
        self._scales = [group.get(LR_SCALE, 1.0) for group in declaration.optimizer.param_groups]
        self._autocast = declaration.mixed_precision and device.type == "cuda" and torch.cuda.is_bf16_supported()
        declaration.model.train()

    def train_step(self, step: int, lr: float) -> Tensor:
        """Make one update. On CPU a loss that is not finite is returned without the update that it would spoil."""
        parts = self._parts
        for group, scale in zip(parts.optimizer.param_groups, self._scales, strict=True):
            group["lr"] = lr * scale
        batch = parts.batch(step)
        parts.optimizer.zero_grad(set_to_none=True)
        with self._precision():
            loss = parts.loss(parts.model, batch)
        if loss.dim() != 0:
            raise WorkloadError(f"the training loss must be a scalar tensor, got the shape {tuple(loss.shape)}")
        if self._device.type == "cpu" and not loss.isfinite():
            return loss.detach()
        loss.backward()  # type: ignore[no-untyped-call]
        if parts.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(parts.model.parameters(), parts.clip_norm)
        parts.optimizer.step()
        return loss.detach()

    def validate(self) -> float:
        """The validation loss, in evaluation mode; every module gets its own mode back (some may be frozen)."""
        modes = [(module, module.training) for module in self._parts.model.modules()]
        self._parts.model.eval()
        try:
            with torch.no_grad(), self._precision():
                return self._parts.evaluate(self._parts.model)
        finally:
            for module, mode in modes:
                module.training = mode

    def state_dict(self) -> dict[str, Any]:
        """Model and optimizer."""
        return {"model": self._parts.model.state_dict(), "optimizer": self._parts.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self._parts.model.load_state_dict(state["model"])
        self._parts.optimizer.load_state_dict(state["optimizer"])

    def _precision(self) -> AbstractContextManager[None]:
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._autocast)
