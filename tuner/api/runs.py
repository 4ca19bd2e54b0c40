"""Wire types of runs, their curves and their logs: what ``/v1/runs`` returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from tuner.api.views import view_of
from tuner.jobs.records import CurvePoint, LogChunk, RunRecord
from tuner.jobs.states import RunState, TrialState
from tuner.metric import Metric
from tuner.schedules import Schedule
from tuner.search.decision.decisions import Alternative


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run: one training of one configuration."""

    id: str
    job_id: str
    trial_id: str
    trial_number: int
    seed: int
    total_steps: int
    schedule: Schedule
    """The schedule that it trains with."""
    state: RunState
    reason: str
    """Why the plan created it."""
    alternatives: tuple[Alternative, ...]
    """The actions that the plan considered at that time, the chosen one among them, the best value first."""
    attempts: int
    """How often a worker has leased it; an attempt is the time until that lease ends."""
    failed_attempts: int
    """Attempts that ended because the workload's code failed or its runner died of it; the third fails the run."""
    lost_attempts: int
    """Attempts that ended because the infrastructure was lost: machine, network, database, worker."""
    worker: str | None
    step: int
    """Updates from the start of its schedule, as last reported."""
    updates: int
    """Updates executed for it, as reported: those that a lost attempt made and a later one repeated count twice."""
    shared_updates: int
    """Updates of its schedule that it did not execute, because it continued from a snapshot of another run; 0 until it
    has finished."""
    device_seconds: float
    """Device time of all attempts: seconds under a lease times devices."""
    metric: Metric
    """The job's."""
    value: float | None
    """Of the metric, at the end; ``None`` until then and for a run that ended otherwise."""
    error: str | None
    created_at: float
    queued_at: float
    """When it last entered the queue."""
    started_at: float | None
    finished_at: float | None

    @classmethod
    def of(cls, run: RunRecord) -> Self:
        """The public part of a stored run."""
        return view_of(cls, run)


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """One page of a job's runs, in the order in which they were planned."""

    items: tuple[RunView, ...]
    next_cursor: str | None
    """Pass it as ``cursor`` to get the next page; ``None`` on the last page."""


@dataclass(frozen=True, kw_only=True)
class CurveSample:
    """One evaluation during a run, as JSON: a `CurvePoint` may hold NaN and infinity, which JSON does not have."""

    step: int
    """Updates done at the evaluation."""
    lr: float
    """Learning rate of the last update done."""
    train_loss: float | None
    """Mean since the previous sample; ``None`` at step 0, and when it is not finite."""
    value: float | None
    """Of the job's metric; ``None`` when it is not finite."""

    @classmethod
    def of(cls, point: CurvePoint, *, metric: Metric) -> Self:
        """A point, with ``None`` for values that are not finite."""
        value = _finite(metric.value(point.val_loss))
        return cls(step=point.step, lr=point.lr, train_loss=_finite(point.train_loss), value=value)


@dataclass(frozen=True, kw_only=True)
class RunCurve:
    """The learning curve of a run, thinned."""

    run_id: str
    trial: int
    """The trial's number."""
    seed: int
    state: RunState
    total_steps: int
    step: int
    """Updates that it has reached."""
    points: tuple[CurveSample, ...]
    """By step."""

    @classmethod
    def of(cls, run: RunRecord, *, points: tuple[CurvePoint, ...]) -> Self:
        """The curve of a stored run."""
        samples = tuple(CurveSample.of(point, metric=run.metric) for point in points)
        return view_of(cls, run, run_id=run.id, trial=run.trial_number, points=samples)


@dataclass(frozen=True, kw_only=True)
class CurvePage:
    """The learning curves of one page of a job's runs, in the order in which they were planned."""

    items: tuple[RunCurve, ...]
    next_cursor: str | None
    """Pass it as ``cursor`` to get the next page; ``None`` on the last page."""


@dataclass(frozen=True, kw_only=True)
class TrialRates:
    """The learning rates of a trial over the full horizon."""

    trial: int
    """The trial's number."""
    label: str
    state: TrialState
    lrs: tuple[float, ...]
    """At the updates of the page."""


@dataclass(frozen=True, kw_only=True)
class RatesPage:
    """The learning rates of one page of a job's trials, by number."""

    total_steps: int
    updates: tuple[int, ...]
    """Evenly spaced, the first and the last one of the run included: the same for all trials."""
    items: tuple[TrialRates, ...]
    next_cursor: str | None
    """Pass it as ``cursor`` to get the next page; ``None`` on the last page."""


@dataclass(frozen=True, kw_only=True)
class RunLog:
    """A part of a run's log: what its code printed."""

    chunks: tuple[LogChunk, ...]
    """In the order of printing, over all attempts."""
    next: int
    """Pass it as ``after`` to get what follows."""
    complete: bool
    """Whether no more will follow, unless the job is retried."""


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
