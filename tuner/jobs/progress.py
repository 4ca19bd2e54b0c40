"""How far a job is: counted from its records alone, without a clock or a database."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.jobs.records import JobRecord, RunKind, RunRecord, StudyRecord, TrialRecord
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.search.ladder import Price, price, rung_steps

_RUNS_FOR_A_PACE = 3  # the first one warms caches and devices up
_ENDED = frozenset({RunState.SUCCEEDED, RunState.DIVERGED, RunState.FAILED})


@dataclass(frozen=True, kw_only=True)
class TrialCounts:
    """Trials of a job by what became of them."""

    planned: int
    """How many the whole search will open."""
    opened: int
    pruned: int
    completed: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class RunCounts:
    """Runs of one rung, or of the confirmation."""

    updates: int
    """Optimizer updates of each run."""
    done: int
    """Ended with a result or without: succeeded, diverged or failed."""
    running: int
    queued: int
    total: int
    """At most so many in the whole search."""


@dataclass(frozen=True, kw_only=True)
class BestSoFar:
    """The trial with the lowest loss at the highest rung that has any; losses of different rungs do not compare."""

    trial: int
    label: str
    """Its schedule in words."""
    loss: float
    rung: int
    updates: int
    """Updates of that rung."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is."""

    trials: TrialCounts
    rungs: tuple[RunCounts, ...]
    """From the shortest up; the last one is the full horizon."""
    confirmations: RunCounts
    best: BestSoFar | None
    """``None`` until a run has succeeded."""
    updates_spent: int
    """Executed so far, repeated ones included."""
    updates_expected: int
    """At most so many in the whole search."""
    fraction: float
    """Share of the expected updates that are settled, in [0, 1]; exactly 1 for a completed job."""
    seconds_left: float | None
    """At the pace of the runs that have succeeded; ``None`` until a few have, and once the job has ended."""


@dataclass(frozen=True, kw_only=True)
class JobDetail(JobRecord):
    """A job, how far it is, and what it costs at most."""

    progress: Progress
    price: Price


def detail(record: StudyRecord) -> JobDetail:
    """A job as people look at it."""
    return JobDetail(
        **vars(record.job),
        progress=progress(record.job, trials=record.trials, runs=record.runs),
        price=price(record.job.spec.search),
    )


def progress(job: JobRecord, *, trials: Sequence[TrialRecord], runs: Sequence[RunRecord]) -> Progress:
    """Count how far a job is.

    Args:
        job: The job.
        trials: All of its trials.
        runs: All of its runs.

    Returns:
        The counts. ``updates_expected`` is an upper bound: schedules that diverge cost less than planned.
    """
    settings = job.spec.search
    cost = price(settings)
    steps = rung_steps(settings)
    rung_runs = [run for run in runs if run.kind is RunKind.RUNG]
    confirmations = [run for run in runs if run.kind is RunKind.CONFIRM]
    expected = max(1, cost.updates)
    settled = sum(_settled(run) for run in runs)
    states = Counter(trial.state for trial in trials)
    return Progress(
        trials=TrialCounts(
            planned=settings.trials,
            opened=len(trials),
            pruned=states[TrialState.PRUNED],
            completed=states[TrialState.COMPLETED],
            failed=states[TrialState.FAILED],
        ),
        rungs=tuple(
            _counts([run for run in rung_runs if run.rung == rung], updates=updates, total=cost.rung_runs[rung])
            for rung, updates in enumerate(steps)
        ),
        confirmations=_counts(confirmations, updates=steps[-1], total=cost.confirm_runs),
        best=_best(rung_runs, trials=trials),
        updates_spent=job.updates_spent,
        updates_expected=expected,
        fraction=1.0 if job.state is JobState.COMPLETED else min(1.0, settled / expected),
        seconds_left=_seconds_left(job, runs=runs, updates_left=max(0, expected - settled)),
    )


def _counts(runs: Sequence[RunRecord], *, updates: int, total: int) -> RunCounts:
    states = Counter(run.state for run in runs)
    return RunCounts(
        updates=updates,
        done=sum(states[state] for state in _ENDED),
        running=states[RunState.LEASED],
        queued=states[RunState.QUEUED],
        total=max(total, len(runs)),
    )


def _settled(run: RunRecord) -> int:
    """Updates that need not be waited for any more: all of an ended run's, however early it ended."""
    return run.total_steps if run.state in _ENDED else run.step


def _best(rung_runs: Sequence[RunRecord], *, trials: Sequence[TrialRecord]) -> BestSoFar | None:
    scored = [(-run.rung, run.loss, run.trial_number, run) for run in rung_runs if run.loss is not None]
    if not scored:
        return None
    _, loss, number, run = min(scored, key=lambda entry: entry[:3])
    label = next(trial.schedule.label for trial in trials if trial.number == number)
    return BestSoFar(trial=number, label=label, loss=loss, rung=run.rung, updates=run.total_steps)


def _seconds_left(job: JobRecord, *, runs: Sequence[RunRecord], updates_left: int) -> float | None:
    """The rest at the pace of the runs that have succeeded.

    Only time in which at least one of them was being trained counts, and time in which several were counts once: what
    passed before the first, or while no worker was up, says nothing about the pace.
    """
    spans = [
        (run.started_at, run.finished_at, run.total_steps)
        for run in runs
        if run.state is RunState.SUCCEEDED and run.started_at is not None and run.finished_at is not None
    ]
    if job.finished_at is not None or len(spans) < _RUNS_FOR_A_PACE:
        return None
    busy, busy_until = 0.0, -math.inf
    for start, end, _ in sorted(spans):
        busy += max(0.0, end - max(start, busy_until))
        busy_until = max(busy_until, end)
    return updates_left * busy / sum(updates for _, _, updates in spans) if busy > 0 else None
