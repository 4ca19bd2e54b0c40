"""How far a job is: worked out from sums over its trials and runs, without a clock or a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.jobs.records import JobRecord, RunKind
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.search.decision.rungs import price, rung_steps

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
    """Runs of one rung, of the audit, or of the confirmation."""

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
    """How far a job is.

    Example:
        >>> from tuner import Progress, tune
        >>> seen: list[Progress] = []
        >>> search = {"trials": 2, "confirm_seeds": 0}
        >>> report = tune("digits-mlp", total_steps=10, search=search, device="cpu", on_progress=seen.append)
        >>> seen[-1].trials.completed, seen[-1].trials.planned
        (2, 2)
    """

    trials: TrialCounts
    rungs: tuple[RunCounts, ...]
    """From the shortest up; the last one is the full horizon."""
    audits: RunCounts
    """Of pruned trials, at the full horizon."""
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
    """Of the devices that train now, at the pace of the runs that have succeeded; as of one when none does. ``None``
    until a few have, while the job is paused, and once it has ended."""


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """A job and its progress, read in one transaction."""

    job: JobRecord
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class RunTally:
    """The runs of one kind, rung and state, summed up."""

    kind: RunKind
    rung: int
    state: RunState
    runs: int
    total_steps: int
    """Updates that they take."""
    steps: int
    """Updates from the start of their schedules that they have come to."""
    updates: int
    """Updates executed for them, repeated ones included."""
    device_seconds: float


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A job's trials and runs, summed up: all that its progress is worked out from."""

    trials: Mapping[TrialState, int]
    """How many are in each state; those in which none is may be absent."""
    runs: tuple[RunTally, ...]
    """One for each kind, rung and state of which there are any."""
    best: BestSoFar | None
    devices: int
    """How many devices train its runs just now."""


def progress(job: JobRecord, *, tally: Tally) -> Progress:
    """Work out how far a job is.

    Args:
        job: The job.
        tally: Its trials and runs.

    Returns:
        The counts. ``updates_expected`` is an upper bound: schedules that diverge cost less than planned.
    """
    settings = job.spec.search
    cost = price(settings)
    steps = rung_steps(settings)
    expected = max(1, cost.updates)
    settled = sum(map(_settled, tally.runs))
    rungs = [
        [runs for runs in tally.runs if runs.kind is RunKind.RUNG and runs.rung == rung] for rung in range(len(steps))
    ]
    audits = [runs for runs in tally.runs if runs.kind is RunKind.AUDIT]
    confirmations = [runs for runs in tally.runs if runs.kind is RunKind.CONFIRM]
    return Progress(
        trials=TrialCounts(
            planned=settings.trials,
            opened=sum(tally.trials.values()),
            pruned=tally.trials.get(TrialState.PRUNED, 0),
            completed=tally.trials.get(TrialState.COMPLETED, 0),
            failed=tally.trials.get(TrialState.FAILED, 0),
        ),
        rungs=tuple(
            _counts(runs, updates=updates, total=total)
            for runs, updates, total in zip(rungs, steps, cost.rung_runs, strict=True)
        ),
        audits=_counts(audits, updates=steps[-1], total=cost.audit_runs),
        confirmations=_counts(confirmations, updates=steps[-1], total=cost.confirm_runs),
        best=tally.best,
        updates_spent=job.updates_spent,
        updates_expected=expected,
        fraction=1.0 if job.state is JobState.COMPLETED else min(1.0, settled / expected),
        seconds_left=_seconds_left(job, tally=tally, updates_left=max(0, expected - settled)),
    )


def _counts(tallies: Sequence[RunTally], *, updates: int, total: int) -> RunCounts:
    states: Counter[RunState] = Counter()
    for tally in tallies:
        states[tally.state] += tally.runs
    return RunCounts(
        updates=updates,
        done=sum(states[state] for state in _ENDED),
        running=states[RunState.LEASED],
        queued=states[RunState.QUEUED],
        total=max(total, states.total()),
    )


def _settled(runs: RunTally) -> int:
    """Updates that need not be waited for any more: all of an ended run's, however early it ended."""
    return runs.total_steps if runs.state in _ENDED else runs.steps


def _seconds_left(job: JobRecord, *, tally: Tally, updates_left: int) -> float | None:
    if job.finished_at is not None or job.state is JobState.PAUSED:
        return None
    done = [runs for runs in tally.runs if runs.state is RunState.SUCCEEDED]
    updates, device_seconds = sum(runs.updates for runs in done), sum(runs.device_seconds for runs in done)
    if sum(runs.runs for runs in done) < _RUNS_FOR_A_PACE or not (updates and device_seconds):
        return None
    return updates_left * device_seconds / updates / (tally.devices or job.spec.resources.devices)
