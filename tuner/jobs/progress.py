"""The progress of a job, from sums over its trials and runs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.jobs.records import JobRecord, RunKind
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.search.decision.rungs import price, rung_steps

_MIN_RUNS_FOR_PACE = 3  # the first run warms up caches and devices
_ENDED = frozenset({RunState.SUCCEEDED, RunState.DIVERGED, RunState.FAILED})


@dataclass(frozen=True, kw_only=True)
class TrialCounts:
    """Numbers of trials by state."""

    planned: int
    """The number that the whole search will open."""
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
    """Succeeded, diverged or failed."""
    running: int
    queued: int
    total: int
    """The maximum of the whole search."""


@dataclass(frozen=True, kw_only=True)
class BestSoFar:
    """The trial with the best result at the highest rung that has any; those of different rungs are not comparable."""

    trial: int
    label: str
    """A description of its schedule."""
    value: float
    """Of the job's metric."""
    rung: int
    updates: int
    """Updates of that rung."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a job.

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
    """In ascending order of length; the last one is the full horizon."""
    audits: RunCounts
    """Of pruned trials, at the full horizon."""
    confirmations: RunCounts
    best: BestSoFar | None
    """``None`` until a run has succeeded."""
    updates_spent: int
    """Executed so far, including repeated ones."""
    updates_expected: int
    """The maximum of the whole search."""
    fraction: float
    """Share of the expected updates that are settled, in [0, 1]; exactly 1 for a completed job."""
    seconds_left: float | None
    """At the pace of the succeeded runs, on the devices that train now (on one when none does). ``None`` until a few
    runs have succeeded, while the job is paused, and once it has finished."""


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """A job and its progress, read in one transaction."""

    job: JobRecord
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class RunTally:
    """Sums over the runs of one kind, rung and state."""

    kind: RunKind
    rung: int
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
    """One for each kind, rung and state that occurs."""
    best: BestSoFar | None
    devices: int
    """The number of devices that train its runs now."""


def progress(job: JobRecord, *, tally: Tally) -> Progress:
    """The progress of a job.

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
    settled = sum(map(_settled_updates, tally.runs))
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


def _settled_updates(runs: RunTally) -> int:
    """Updates that are no longer pending: all those of an ended run, even when it ended early."""
    return runs.total_steps if runs.state in _ENDED else runs.steps


def _seconds_left(job: JobRecord, *, tally: Tally, updates_left: int) -> float | None:
    if job.finished_at is not None or job.state is JobState.PAUSED:
        return None
    done = [runs for runs in tally.runs if runs.state is RunState.SUCCEEDED]
    updates, device_seconds = sum(runs.updates for runs in done), sum(runs.device_seconds for runs in done)
    if sum(runs.runs for runs in done) < _MIN_RUNS_FOR_PACE or not (updates and device_seconds):
        return None
    return updates_left * device_seconds / updates / (tally.devices or job.spec.resources.devices)
