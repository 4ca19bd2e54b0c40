"""The progress of a job, from sums over its trials and runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tuner.jobs.forecasts import BestTrial
from tuner.jobs.records import JobRecord
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.search.decision.budget import price

_ENDED = frozenset({RunState.SUCCEEDED, RunState.DIVERGED, RunState.STOPPED, RunState.FAILED})


@dataclass(frozen=True, kw_only=True)
class TrialCounts:
    """Numbers of trials by state."""

    opened: int
    pruned: int
    completed: int
    failed: int
    most: int
    """The maximum of the whole search."""


@dataclass(frozen=True, kw_only=True)
class RunCounts:
    """Numbers of runs by state."""

    ended: int
    """Succeeded, diverged, stopped early or failed."""
    running: int
    queued: int


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a job.

    Example:
        >>> from tuner import Progress, tune
        >>> seen: list[Progress] = []
        >>> report = tune("digits-mlp", total_steps=10, budget=2, device="cpu", on_progress=seen.append)
        >>> seen[-1].budget, seen[-1].fraction
        (2.0, 1.0)
    """

    budget: float
    """What the job may cost, in full runs."""
    full_runs_spent: float
    """What its runs have spent of it so far; what is trained once for several runs counts for each."""
    trials: TrialCounts
    runs: RunCounts
    best: BestTrial | None
    """The trial that would be recommended now; ``None`` until a run has reached the horizon."""
    updates_spent: int
    """Executed so far, repeated ones included."""
    updates_most: int
    """The maximum of the whole search, where nothing is shared and nothing repeated."""
    fraction: float
    """Share of that maximum that is spent, in [0, 1]; exactly 1 for a completed job."""
    seconds_left: float | None
    """For what is left of the maximum, at the pace of the succeeded runs, on the devices that train now (on one when
    none does). ``None`` until a run has succeeded, while the job is paused, and once it has finished."""


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """A job and its progress, read in one transaction."""

    job: JobRecord
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class TrialLoss:
    """How a run of a trial ended."""

    seed: int
    steps: int
    """Updates of its schedule that it reached."""
    state: RunState
    """Succeeded, diverged or stopped early."""
    loss: float | None
    """Of the job's metric at the end, as people read it, in the metric's own direction; ``None`` for a run that
    diverged or was stopped early."""


class JobSort(StrEnum):
    """The order of a list of jobs."""

    NEWEST = "newest"
    OLDEST = "oldest"
    COST = "cost"
    """The most device time first."""
    FINISHED = "finished"
    """The one that ended last first; those that have not ended come after all that have."""


@dataclass(frozen=True, kw_only=True)
class JobOverview:
    """A job in a list: its progress and its result so far."""

    status: JobStatus
    finding: str | None
    """The first sentence of its report; ``None`` without one."""
    age_seconds: float
    """Since it was submitted, by the database's clock."""


@dataclass(frozen=True, kw_only=True)
class RunTally:
    """Sums over the runs of one state."""

    state: RunState
    runs: int
    total_steps: int
    """Updates of their schedules."""
    steps: int
    """Updates of their schedules that they have reached."""
    updates: int
    """Updates executed for them, including repeated ones."""
    device_seconds: float


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Sums over a job's trials and runs, from which its progress follows."""

    trials: Mapping[TrialState, int]
    """Their number by state; states without trials may be absent."""
    runs: tuple[RunTally, ...]
    """One for each state that occurs."""
    devices: int
    """The number of devices that train its runs now."""


def progress(job: JobRecord, *, tally: Tally) -> Progress:
    """The progress of a job.

    Args:
        job: The job.
        tally: Its trials and runs.

    Returns:
        The counts. ``updates_most`` is an upper bound: what would not change the recommendation is not spent.
    """
    settings = job.spec.search
    bound = price(settings)
    most = max(1, bound.updates)
    spent = sum(map(_spent_steps, tally.runs))
    runs = {one.state: one.runs for one in tally.runs}
    return Progress(
        budget=settings.budget,
        full_runs_spent=spent / settings.total_steps,
        trials=TrialCounts(
            opened=sum(tally.trials.values()),
            pruned=tally.trials.get(TrialState.PRUNED, 0),
            completed=tally.trials.get(TrialState.COMPLETED, 0),
            failed=tally.trials.get(TrialState.FAILED, 0),
            most=bound.most_trials,
        ),
        runs=RunCounts(
            ended=sum(runs.get(state, 0) for state in _ENDED),
            running=runs.get(RunState.LEASED, 0),
            queued=runs.get(RunState.QUEUED, 0),
        ),
        best=job.best,
        updates_spent=job.updates_spent,
        updates_most=most,
        fraction=1.0 if job.state is JobState.COMPLETED else min(1.0, spent / most),
        seconds_left=_seconds_left(job, tally=tally, updates_left=max(0, most - spent)),
    )


def _spent_steps(runs: RunTally) -> int:
    """The updates that count against the budget: of a failed run all, as in `tuner.jobs.study_state`."""
    if runs.state is RunState.CANCELLED:
        return 0
    return runs.total_steps if runs.state is RunState.FAILED else runs.steps


def _seconds_left(job: JobRecord, *, tally: Tally, updates_left: int) -> float | None:
    if job.finished_at is not None or job.state is JobState.PAUSED:
        return None
    done = [runs for runs in tally.runs if runs.state is RunState.SUCCEEDED]
    updates, device_seconds = sum(runs.updates for runs in done), sum(runs.device_seconds for runs in done)
    if not (updates and device_seconds):
        return None
    return updates_left * device_seconds / updates / (tally.devices or job.spec.resources.devices)
