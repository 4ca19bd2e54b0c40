"""Input and output of the plan: frozen values, each decision with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Schedule
from tuner.search.configuration import Configuration, OptionValues
from tuner.search.settings import SearchSettings


class Control(StrEnum):
    """Groups of trials whose schedules are not the search's free choice."""

    CONSTANT = "constant"
    """A constant rate: whether a schedule is worth it at all."""
    DEFAULT = "default"
    """Linear warm-up and cosine to zero: the usual default."""
    START = "start"
    """A start schedule of the request, or of an earlier job on the workload."""


MEASURED_AGAINST = (Control.CONSTANT, Control.DEFAULT)
"""The groups whose best member always reaches the full horizon and is confirmed with the finalists."""


class TrialStatus(StrEnum):
    """The state of a trial, as the plan sees it."""

    ACTIVE = "active"
    PRUNED = "pruned"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class RungResult:
    """The result of a trial at one rung."""

    loss: float | None
    """At the rung's end; ``None`` when it diverged."""

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
    """``None`` before the sampler proposes it: only inside the plan and its simulation."""
    results: tuple[RungResult, ...]
    """One per finished rung, from rung 0 up."""
    running: bool
    """Whether a run of its next rung is queued or leased."""
    options: OptionValues = ()
    """Of the options that are searched."""

    @property
    def configuration(self) -> Configuration | None:
        """The configuration; ``None`` before the sampler proposes it."""
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
        """No new trials: open ones are decided by the same rules, and the best of all are confirmed."""
        return cls(reason=reason, at_once=False)

    @classmethod
    def now(cls, reason: str) -> Self:
        """Nothing more is trained: the report uses the results so far."""
        return cls(reason=reason, at_once=True)


@dataclass(frozen=True, kw_only=True)
class StudyState:
    """Everything that the plan decides from."""

    settings: SearchSettings
    trials: tuple[TrialView, ...]
    """By number."""
    confirmations: tuple[ConfirmView, ...]
    updates_committed: int
    """Updates that the requested runs have cost or will cost (a whole run each, in any state)."""
    audits: tuple[AuditView, ...] = ()
    metric: Metric = DEFAULT_METRIC
    """What the losses stand for in the reasons of decisions, which people read."""
    stop: Stop | None = None
    """Whether the study should end early, and why."""
    usual_options: OptionValues = ()
    """Values of the searched options in the job: the search starts with them."""
    batch_exponent: float = 0.5
    """Expected exponent of the best peak as a power of a searched ``batch_size``."""


@dataclass(frozen=True, kw_only=True)
class NewTrial:
    """Open a trial and run its first rung."""

    number: int
    cohort: int
    control: Control | None
    schedule: Schedule | None
    """A start schedule; ``None``: the sampler proposes one, within the group of controls where there is one."""
    reason: str
    options: OptionValues = ()
    """Set along with the schedule."""


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
    """Train a pruned trial at the full horizon, with the search's seed, to measure what pruning lost."""

    trial: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Finish:
    """The study is over: make the report."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """The study cannot reach a recommendation: fail the job."""

    reason: str


Decision = NewTrial | Promote | Prune | CompleteTrial | Confirm | Audit | Finish | GiveUp
