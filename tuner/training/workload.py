"""What training code must offer so that its schedule can be tuned: the workload contract, in two levels.

A *declared* workload names its parts (model, optimizer, data, loss, validation) and leaves the loop to the engine. A
*stepwise* workload keeps its own update and validation. The engine knows the stepwise form alone; a declared one is
turned into it by `tuner.training.declared.DeclaredTraining`.

Three rules hold for both, and the runner relies on them:

- The data of an update is a function of the seed and the update's index alone (`tuner.training.data` helps), so that a
  resumed run sees the batches that it would have seen.
- Everything lives on the given device, and nothing is read from or written to a disk that other runs share.
- Other randomness (dropout) comes from the global generators of torch, numpy or Python: they are seeded from the run's
  seed before the workload is built, and a snapshot holds their state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from tuner.search.space import OptimizerKind


class WorkloadOptions(BaseModel):
    """Base of a workload's options. Every field needs a default, a description that names the unit, and its range."""

    model_config = ConfigDict(frozen=True, extra="forbid")


OptionsT = TypeVar("OptionsT", bound=WorkloadOptions)


class Workload(ABC, Generic[OptionsT]):
    """What both levels tell about themselves. Derive from `DeclaredWorkload` or `StepwiseWorkload`."""

    name: ClassVar[str]
    """How a job names it: lower case, digits and hyphens."""
    version: ClassVar[str]
    """Change it when the same options, schedule and seed would give other numbers."""
    description: ClassVar[str]
    """One sentence: the data, the model, and what the validation loss is."""
    default_steps: ClassVar[int]
    """A horizon that trains it to a sensible result, in updates."""
    optimizer: ClassVar[OptimizerKind]
    """The optimizer when no option chooses one; must equal the default of ``optimizer_option`` where that is given."""
    optimizer_option: ClassVar[str | None] = None
    """Name of the option whose value is an `OptimizerKind`."""
    peak_lr: ClassVar[Mapping[OptimizerKind, tuple[float, float]]] = {}
    """Range to search the peak learning rate in, per optimizer; the tuner's general range for those left out."""

    Options: type[OptionsT]
    """The options' class."""


Batch = Any
"""What ``Declaration.batch`` hands to ``Declaration.loss``; the engine does not look inside."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The parts of one training, built on its device."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    """Its learning rates are set before every update: the schedule's, times ``lr_scale`` of the group if it has one."""
    batch: Callable[[int], Batch]
    """Update index -> batch; always the same batch for the same seed and index."""
    loss: Callable[[nn.Module, Batch], Tensor]
    """The training loss of a batch: a scalar tensor with a gradient."""
    evaluate: Callable[[nn.Module], float]
    """The validation loss. Called in evaluation mode, without gradients; lower is better."""
    clip_norm: float | None = None
    """Gradients are scaled down to this total norm; ``None`` leaves them."""
    mixed_precision: bool = False
    """Whether losses may be computed in bfloat16 where a CUDA device has it; never on CPU."""


@runtime_checkable
class StepwiseTraining(Protocol):
    """One training that makes its own updates, built on its device with its seed."""

    def train_step(self, step: int, lr: float) -> float | Tensor:
        """Make update ``step`` (0-based) at learning rate ``lr``.

        Returns:
            The training loss before the update; a scalar tensor on the device is best, it costs no waiting for it.
        """

    def validate(self) -> float:
        """The validation loss, lower is better; leaves model and optimizer as they were."""

    def state_dict(self) -> dict[str, Any]:
        """Everything the next update depends on, in tensors, numbers, strings and containers of those."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state that `state_dict` gave, in a training newly built with the same options and seed."""


class DeclaredWorkload(Workload[OptionsT]):
    """A workload whose loop belongs to the engine."""

    @abstractmethod
    def declare(self, options: OptionsT, *, seed: int, device: torch.device) -> Declaration:
        """Build one training.

        Args:
            options: Checked.
            seed: Of the data order. The global generators are seeded with it already.
            device: Where model and data must live.
        """


class StepwiseWorkload(Workload[OptionsT]):
    """A workload that makes its own updates."""

    @abstractmethod
    def start(self, options: OptionsT, *, seed: int, device: torch.device) -> StepwiseTraining:
        """Build one training; the arguments are those of `DeclaredWorkload.declare`."""


AnyWorkload = DeclaredWorkload[Any] | StepwiseWorkload[Any]
"""A workload of either level."""
