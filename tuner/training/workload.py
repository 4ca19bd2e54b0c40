"""What training code must offer so that its schedule can be tuned: the workload contract, in three levels.

A *declared* workload names its parts (model, optimizer, data, loss, validation) and leaves the loop to the engine. A
*stepwise* workload makes its own updates. The engine knows the stepwise form alone; a declared one is put into it. An
*opaque* workload owns its loop: it gets the schedule and reports its losses (`tuner.training.opaque`).

Three rules hold for all of them, and the runner relies on them:

- The data of an update is a function of the seed and the update's index alone (`tuner.training.data` helps), so that a
  resumed run sees the batches that it would have seen.
- Everything lives on the device of the call, and nothing is written to a disk or a place that other runs share.
- Other randomness (dropout) comes from the global generators of torch, numpy or Python: they are seeded from the run's
  seed before the workload is built, and a snapshot holds their state (what an opaque workload saves is its own affair).
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from tuner.errors import InvalidValue, WorkloadError
from tuner.jobs.admission.strict_json import check_storable
from tuner.jobs.records import Level, WorkloadInfo
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.search.settings import MIN_HORIZON
from tuner.search.space import OptimizerKind, TrainingKind, peak_range
from tuner.training.declared import Declaration, DeclaredTraining
from tuner.training.options import WorkloadOptions, options_schema
from tuner.training.run import TrainingRun
from tuner.training.stepwise import StepwiseTraining
from tuner.validation import choice

__all__ = [
    "Declaration",
    "DeclaredWorkload",
    "OpaqueWorkload",
    "StepwiseTraining",
    "StepwiseWorkload",
    "TrainingRun",
    "Workload",
    "WorkloadOptions",
    "describe",
]


class Workload(ABC):
    """What all levels declare. Derive from `DeclaredWorkload`, `StepwiseWorkload` or `OpaqueWorkload`."""

    level: ClassVar[Level]
    """Set by the three levels."""
    name: ClassVar[str]
    """How a job names it: lower-case words joined by hyphens."""
    version: ClassVar[str]
    """Change it when the same options, schedule and seed would give other numbers."""
    description: ClassVar[str]
    """One sentence: the data, the model, and what the metric is measured on."""
    metric: ClassVar[Metric] = DEFAULT_METRIC
    """What runs are judged by; the validation loss, minimized, by default. Change ``version`` along with it."""
    default_steps: ClassVar[int]
    """A horizon that trains it to a sensible result, in updates; at least 10, the least that a search takes."""
    optimizer: ClassVar[OptimizerKind]
    """The optimizer when no option chooses one; must equal the default of ``optimizer_option`` where that is set."""
    optimizer_option: ClassVar[str | None] = None
    """Name of the option whose value is an `OptimizerKind`."""
    peak_lr: ClassVar[Mapping[OptimizerKind, float | tuple[float, float]]] = {}
    """Per optimizer, the range to search the peak learning rate in, or the rate that is used today: the tuner's general
    range, moved so that this is its middle. The general range of the ``training_kind`` for those left out."""
    training_kind: ClassVar[TrainingKind] = TrainingKind.SCRATCH
    """The kind of training: from scratch, of a large model, full fine-tuning, or LoRA; their best peaks differ."""
    needs_lrs: ClassVar[bool] = False
    """Whether the code reads the rates of all updates before it trains, as with ``run.lrs``. Jobs with a schedule that
    follows the loss (`reduce_on_plateau`) are then refused."""
    Options: ClassVar[type[WorkloadOptions]] = WorkloadOptions
    """Class of the options; none by default."""


class StepwiseWorkload(Workload):
    """A workload that makes its own updates: implement `start`.

    Example:
        >>> from tuner import OptimizerKind, StepwiseWorkload
        >>> class Training:
        ...     x = 1.0
        ...     def train_step(self, step, lr):
        ...         loss = self.x**2
        ...         self.x -= lr * 2 * self.x
        ...         return loss
        ...     def validate(self):
        ...         return self.x**2
        ...     def state_dict(self):
        ...         return {"x": self.x}
        ...     def load_state_dict(self, state):
        ...         self.x = state["x"]
        >>> class Quadratic(StepwiseWorkload):
        ...     name, version, default_steps = "quadratic", "1", 20
        ...     description = "Gradient descent on the square of x; the validation loss is the square of x."
        ...     optimizer = OptimizerKind.SGD
        ...     def start(self, options, *, seed, device):
        ...         return Training()
        >>> training = Quadratic().start(None, seed=0, device="cpu")
        >>> training.train_step(0, lr=0.25), training.validate()
        (1.0, 0.25)
    """

    level: ClassVar[Level] = Level.STEPWISE

    @abstractmethod
    def start(self, options: Any, *, seed: int, device: torch.device) -> StepwiseTraining:
        """Build one training.

        Args:
            options: An instance of ``Options``.
            seed: Of the data order. The global generators are seeded with it already.
            device: Where model and data must live.
        """


class DeclaredWorkload(StepwiseWorkload):
    """A workload whose loop belongs to the engine: implement `declare`.

    Example:
        >>> import torch
        >>> from tuner import Declaration, DeclaredWorkload, OptimizerKind
        >>> class Line(DeclaredWorkload):
        ...     name, version, default_steps = "line", "1", 20
        ...     description = "A line through points of a line; mean squared error of these points."
        ...     optimizer = OptimizerKind.SGD
        ...     def declare(self, options, *, seed, device):
        ...         x = torch.linspace(-1, 1, 8, device=device)[:, None]
        ...         model = torch.nn.Linear(1, 1).to(device)
        ...         error = torch.nn.MSELoss()
        ...         return Declaration(
        ...             model=model,
        ...             optimizer=torch.optim.SGD(model.parameters(), lr=1.0),  # the schedule sets the rate
        ...             batch=lambda step: x[step % 8],
        ...             loss=lambda model, batch: error(model(batch), 2 * batch),
        ...             evaluate=lambda model: error(model(x), 2 * x).item(),
        ...         )
        >>> training = Line().start(None, seed=0, device=torch.device("cpu"))
        >>> before = training.validate()
        >>> losses = [training.train_step(step, lr=0.1) for step in range(20)]
        >>> training.validate() < before
        True
    """

    level: ClassVar[Level] = Level.DECLARED

    @abstractmethod
    def declare(self, options: Any, *, seed: int, device: torch.device) -> Declaration:
        """Build the parts of one training; the arguments are those of `StepwiseWorkload.start`."""

    def start(self, options: Any, *, seed: int, device: torch.device) -> StepwiseTraining:
        """The declared parts, with the updates that the engine makes of them."""
        return DeclaredTraining(self.declare(options, seed=seed, device=device), device=device)


class OpaqueWorkload(Workload):
    """A workload that owns its loop: implement `train`. Its runs are always trained whole.

    Example:
        >>> from tuner import OpaqueWorkload, OptimizerKind, tune
        >>> class Quadratic(OpaqueWorkload):
        ...     name, version, default_steps = "quadratic", "1", 20
        ...     description = "Gradient descent on the square of x; the validation loss is the square of x."
        ...     optimizer = OptimizerKind.SGD
        ...     def train(self, run, options):
        ...         x = 1.0
        ...         for step in range(run.total_steps):
        ...             x -= run.lr(step) * 2 * x
        ...             if step + 1 in run.evaluate_at:
        ...                 run.report(step + 1, value=x**2)
        >>> report = tune(Quadratic(), budget=3, device="cpu")
        >>> report.recommended.expected < 1.0
        True
    """

    level: ClassVar[Level] = Level.OPAQUE

    @abstractmethod
    def train(self, run: TrainingRun, options: Any) -> None:
        """Train once, from the start to ``run.total_steps`` updates, and report the metric at the end.

        Args:
            run: The schedule to follow, and where to report. The global random generators are seeded with its seed.
            options: An instance of ``Options``.
        """


_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def describe(workload: Workload) -> WorkloadInfo:
    """What the service and the command line show of a workload, and check requests against.

    Raises:
        WorkloadError: The workload breaks the contract: an attribute is missing or unfit, an option has no default or
            no description, or ``optimizer_option`` does not name an option whose default is ``optimizer``.
    """
    _check_attributes(workload)
    schema = options_schema(workload.Options)
    try:
        check_storable({"version": workload.version, "description": workload.description, "Options": schema})
    except InvalidValue as error:
        raise WorkloadError(f"{workload.name}: {error}") from None
    return WorkloadInfo(
        name=workload.name,
        version=workload.version,
        level=workload.level,
        description=workload.description,
        options_schema=schema,
        optimizer_option=workload.optimizer_option,
        optimizer=_optimizer_kind(workload, field="optimizer", value=workload.optimizer),
        default_steps=workload.default_steps,
        peak_lr=_peak_ranges(workload),
        training=_training_kind(workload),
        metric=workload.metric,
        needs_lrs=workload.needs_lrs,
    )


def _peak_ranges(workload: Workload) -> dict[str, tuple[float, float]]:
    """The range of each kind of optimizer, also where it is declared as the rate that is used today."""
    ranges = {}
    for name, declared in workload.peak_lr.items():
        kind = _optimizer_kind(workload, field="peak_lr", value=name)
        around = None if isinstance(declared, tuple) else declared
        bounds = declared if isinstance(declared, tuple) else None
        ranges[kind.value] = peak_range(kind, training=_training_kind(workload), bounds=bounds, around=around)
    return ranges


def _training_kind(workload: Workload) -> TrainingKind:
    try:
        return choice("training_kind", workload.training_kind, of=TrainingKind)
    except InvalidValue as error:
        raise WorkloadError(f"{workload.name}: {error}") from None


def _optimizer_kind(workload: Workload, *, field: str, value: object) -> OptimizerKind:
    try:
        return choice(field, value, of=OptimizerKind)
    except InvalidValue as error:
        raise WorkloadError(f"{workload.name}: {error}") from None


def _check_attributes(workload: Workload) -> None:
    for attribute in ("name", "version", "description", "default_steps", "optimizer"):
        if not hasattr(workload, attribute):
            raise WorkloadError(f"{type(workload).__name__} must set the class attribute {attribute!r}")
    for attribute in ("name", "version", "description"):
        if not isinstance(text := getattr(workload, attribute), str):
            raise WorkloadError(f"{type(workload).__name__}: {attribute} must be text, got {text!r}")
    if not isinstance(workload.metric, Metric):
        raise WorkloadError(f"{workload.name}: metric must be a tuner.Metric, got {workload.metric!r}")
    if not _NAME.fullmatch(workload.name):
        raise WorkloadError(f"the workload's name must be lower-case words joined by hyphens, got {workload.name!r}")
    if workload.default_steps < MIN_HORIZON:
        wanted = f"at least {MIN_HORIZON}, the least horizon of a search"
        raise WorkloadError(f"{workload.name}: default_steps must be {wanted}, got {workload.default_steps}")
    option = workload.optimizer_option
    if option is not None:
        field = workload.Options.model_fields.get(option)
        if field is None or field.default != workload.optimizer:
            wanted = f"name an option whose default is {workload.optimizer}"
            raise WorkloadError(f"{workload.name}: optimizer_option {option!r} must {wanted}")
    for kind, declared in workload.peak_lr.items():
        low, high = declared if isinstance(declared, tuple) else (declared, math.inf)
        if not 0 < low < high:
            wanted = "a rate above 0, or a range 0 < low < high"
            raise WorkloadError(f"{workload.name}: peak_lr of {kind} must be {wanted}, got {declared}")
