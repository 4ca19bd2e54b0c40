"""Input and output of the plan: frozen values, each decision with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from tuner.metric import DEFAULT_METRIC, Metric
from tuner.search.configuration import Configuration, OptionValues
from tuner.search.range_test.result import RangeTest
from tuner.search.settings import SearchSettings

_SEED_SHARE: Final = 0.1
"""The margin where steps cannot be compared, as a share of the spread over seeds."""


class Role(StrEnum):
    """Why a trial is not the sampler's free choice."""

    INCUMBENT = "incumbent"
    """The schedule that is used today, or the usual default in its place."""
    START = "start"
    """A start schedule of the request."""
    RANGE_TEST = "range_test"
    """The rising rate of an LR range test, which is no trial of the search."""


RANGE_TEST_TRIAL = -1
"""Number of the trial of the range test: those of the search are numbered from 0, with or without one."""


class TrialStatus(StrEnum):
    """The state of a trial, as the plan sees it."""

    ACTIVE = "active"
    """Its first run has not ended."""
    PRUNED = "pruned"
    """Its first run diverged, or was stopped because of its forecast."""
    COMPLETED = "completed"
    """It was trained to the horizon; more seeds of it may follow."""
    FAILED = "failed"


class RunStatus(StrEnum):
    """The state of a run, as the plan sees it."""

    RUNNING = "running"
    """Queued or training."""
    FINISHED = "finished"
    DIVERGED = "diverged"
    STOPPED = "stopped"
    """Stopped early: its forecast left it almost no chance."""
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """A trial, as the plan sees it."""

    number: int
    role: Role | None
    """``None``: the sampler chose it."""
    status: TrialStatus
    configuration: Configuration


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run of a trial at the horizon, as the plan sees it."""

    trial: int
    seed: int
    status: RunStatus
    steps: int
    """Updates of its schedule that count against the budget: all, or those until it was stopped or diverged. A shared
    prefix counts too: which runs could share one depends on interruptions, and the choice of the next run must not."""
    loss: float | None = None
    """At the end, of a finished run; of a stopped run its forecast; ``None`` otherwise."""
    std: float = 0.0
    """Standard deviation of the forecast of a stopped run."""


@dataclass(frozen=True, kw_only=True)
class RangeTestView:
    """The LR range test of a study, as the plan sees it."""

    status: TrialStatus
    """`TrialStatus.ACTIVE` while runs of it are to come or not closed."""
    runs: tuple[RunView, ...]
    """In the order of their request."""
    result: RangeTest | None = None
    """Of its runs that have ended; ``None`` while none has a curve."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Why a study should end before its budget is spent. Made by `search_over` or `now`."""

    reason: str
    at_once: bool

    @classmethod
    def search_over(cls, reason: str) -> Self:
        """No new trials: further seeds of known ones decide which is best."""
        return cls(reason=reason, at_once=False)

    @classmethod
    def now(cls, reason: str) -> Self:
        """Nothing more is trained: the report uses the results so far."""
        return cls(reason=reason, at_once=True)


@dataclass(frozen=True, kw_only=True)
class StudyState:
    """Everything that the plan decides from."""

    settings: SearchSettings
    trials: tuple[TrialView, ...] = ()
    """By number."""
    runs: tuple[RunView, ...] = ()
    """In the order of their request; cancelled ones are left out."""
    metric: Metric = DEFAULT_METRIC
    """What the losses stand for in the reasons of decisions, which people read."""
    stop: Stop | None = None
    """Whether the study should end early, and why."""
    usual_options: OptionValues = ()
    """Values of the searched options in the job: the search starts with them."""
    batch_exponent: float = 0.5
    """Expected exponent of the best peak as a power of a searched ``batch_size``."""
    range_test: RangeTestView | None = None
    """``None`` before its first run is requested, and in a study without one."""
    margin: float | None = None
    """The gain in loss that `SearchSettings.worth` more steps bring, where curves or lengths can say it; ``None``: a
    tenth of the spread over seeds stands for it. What counts is `margin_at`."""

    def margin_at(self, noise_std: float) -> float:
        """The smallest gain in loss that is worth a change of schedule.

        Args:
            noise_std: Standard deviation of a run's loss over seeds, for where steps cannot say it.
        """
        margin = _SEED_SHARE * noise_std if self.margin is None else self.margin
        return max(margin, self.settings.least_gain or 0.0)

    @property
    def steps_committed(self) -> int:
        """Updates that the requested runs have cost or will cost."""
        test = () if self.range_test is None else self.range_test.runs
        return sum(run.steps for run in (*self.runs, *test))

    def runs_of(self, trial: int) -> tuple[RunView, ...]:
        """The runs of a trial, the first one first."""
        return tuple(run for run in self.runs if run.trial == trial)


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """An action that the plan considered, with its value."""

    action: str
    """In words: ``"a new schedule: cosine, peak 1e-3"``, ``"another seed of trial 3"``, ``"stop"``."""
    value: float
    """Expected improvement of the recommendation, in units of the loss, per full run that it costs."""


@dataclass(frozen=True, kw_only=True)
class NewTrial:
    """Open a trial and run it on the first seed."""

    number: int
    role: Role | None
    configuration: Configuration
    seed: int
    reason: str
    alternatives: tuple[Alternative, ...] = ()
    """The best actions by value, the chosen one among them."""


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """Train a known configuration on another seed."""

    trial: int
    seed: int
    reason: str
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prune:
    """End a trial whose first run diverged or was stopped."""

    trial: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class CompleteTrial:
    """Close a trial that has been trained to the horizon; more seeds of it may follow."""

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


Decision = NewTrial | Replicate | Prune | CompleteTrial | Finish | GiveUp
