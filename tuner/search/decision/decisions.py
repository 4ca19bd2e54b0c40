"""What the plan is given and what it answers: frozen values, each decision with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from tuner.schedules import Schedule
from tuner.search.configuration import Configuration, OptionValues
from tuner.search.settings import SearchSettings


class Control(StrEnum):
    """Groups of trials whose schedules are not the search's free choice."""

    CONSTANT = "constant"
    """A constant rate: whether a schedule is worth it at all."""
    DEFAULT = "default"
    """Linear warm-up and cosine to zero: what everybody uses."""
    START = "start"
    """Given: by whoever asked, or by an earlier job on the workload."""


MEASURED_AGAINST = (Control.CONSTANT, Control.DEFAULT)
"""The groups whose best member always reaches the full horizon and is confirmed with the finalists."""


class TrialStatus(StrEnum):
    """What the plan must know of a trial's state."""

    ACTIVE = "active"
    PRUNED = "pruned"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class RungResult:
    """How a trial did at one rung."""

    loss: float | None
    """Validation loss at the rung's end; ``None`` when it diverged."""

    @property
    def diverged(self) -> bool:
        """Whether the run ended by divergence."""
        return self.loss is None


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """A trial, as the plan sees it."""

    number: int
    cohort: int
    control: Control | None
    status: TrialStatus
    schedule: Schedule | None
    """``None`` while the sampler has not been asked for it: only inside the plan and its simulation."""
    results: tuple[RungResult, ...]
    """One per finished rung, from rung 0 up."""
    running: bool
    """Whether a run of its next rung is queued or leased."""
    options: OptionValues = ()
    """Of the options that are searched."""

    @property
    def configuration(self) -> Configuration | None:
        """What it tries; ``None`` while that is not known."""
        return None if self.schedule is None else Configuration(schedule=self.schedule, options=self.options)


@dataclass(frozen=True, kw_only=True)
class ConfirmView:
    """A confirmation run, as the plan sees it."""

    trial: int
    seed: int
    finished: bool
    loss: float | None
    """``None`` while it runs, and when it diverged or failed."""


@dataclass(frozen=True, kw_only=True)
class AuditView:
    """The run of a pruned trial at the full horizon, as the plan sees it."""

    trial: int
    finished: bool
    loss: float | None
    """``None`` while it runs, and when it diverged or failed."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Why a study should end before its budget is spent. Made by `search_over` or `now`."""

    reason: str
    at_once: bool

    @classmethod
    def search_over(cls, reason: str) -> Self:
        """No new trials: those that are open are judged as ever, and the best of all are confirmed."""
        return cls(reason=reason, at_once=False)

    @classmethod
    def now(cls, reason: str) -> Self:
        """Nothing more is trained: the answer is made from what is there."""
        return cls(reason=reason, at_once=True)


@dataclass(frozen=True, kw_only=True)
class StudyState:
    """Everything that the plan decides from."""

    settings: SearchSettings
    trials: tuple[TrialView, ...]
    """By number."""
    confirmations: tuple[ConfirmView, ...]
    updates_committed: int
    """Updates that the runs asked for so far have cost or will cost (a whole run each, whatever its state)."""
    audits: tuple[AuditView, ...] = ()
    stop: Stop | None = None
    """Whether the study should end early, and why."""
    usual_options: OptionValues = ()
    """What the job gives those options that are searched: the search begins with it."""
    batch_exponent: float = 0.5
    """Where ``batch_size`` is one of them: the best peak is expected to follow its power."""


@dataclass(frozen=True, kw_only=True)
class NewTrial:
    """Open a trial and run its first rung."""

    number: int
    cohort: int
    control: Control | None
    schedule: Schedule | None
    """Given for a start; ``None``: to be proposed, within the group of controls where there is one."""
    reason: str
    options: OptionValues = ()
    """Given along with the schedule."""


@dataclass(frozen=True, kw_only=True)
class Promote:
    """Run a trial's next rung."""

    trial: int
    rung: int
    """The rung to run."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Prune:
    """End a trial that lost at a rung, or diverged."""

    trial: int
    rung: int
    """The rung whose result decided it."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class CompleteTrial:
    """Close a trial that has been trained to the full horizon."""

    trial: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """Train a finalist or a control at the full horizon on a fresh seed."""

    trial: int
    seed: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Train a pruned trial at the full horizon, with the search's seed: to see what pruning lost."""

    trial: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Finish:
    """The study is over: make the report."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """The study cannot reach an answer: fail the job."""

    reason: str


Decision = NewTrial | Promote | Prune | CompleteTrial | Confirm | Audit | Finish | GiveUp
