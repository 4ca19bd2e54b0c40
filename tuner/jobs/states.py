"""The state machines of a job, a trial and a run: one table each. `docs/states.md` draws them, a test compares."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from tuner.errors import IllegalTransition


class JobState(StrEnum):
    """Where a job stands. Members are stored: they may be added, never removed."""

    QUEUED = "queued"
    """Accepted; no run of it has been planned yet."""
    RUNNING = "running"
    """Its study is open: runs are planned, trained and judged."""
    PAUSED = "paused"
    """Set aside by a person: nothing of it is planned or begun, and what was being trained stops with a snapshot."""
    COMPLETED = "completed"
    """Its report is stored."""
    CANCELLED = "cancelled"
    """Stopped by a person; results so far are kept."""
    FAILED = "failed"
    """It cannot reach an answer; the reason is stored."""


class TrialState(StrEnum):
    """Where a trial (one schedule) stands."""

    ACTIVE = "active"
    """A run of it is queued or leased, or it waits for its peers at a rung."""
    COMPLETED = "completed"
    """It was trained to the full horizon."""
    PRUNED = "pruned"
    """It lost at a rung, or diverged: told to the sampler with its (bad) value."""
    FAILED = "failed"
    """The workload failed; the sampler learns nothing from it."""
    CANCELLED = "cancelled"
    """Its job ended first."""


class RunState(StrEnum):
    """Where a run (one training of one schedule) stands."""

    QUEUED = "queued"
    """Ready to be claimed."""
    LEASED = "leased"
    """A worker holds the right to it until the lease expires."""
    SUCCEEDED = "succeeded"
    """Trained to its end; its loss is recorded."""
    DIVERGED = "diverged"
    """Ended by NaN, Inf or a loss far above the start: a result, not a failure."""
    FAILED = "failed"
    """The workload failed, or its attempts are used up; the reason is recorded."""
    CANCELLED = "cancelled"
    """Its job ended first."""


JOB_TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.COMPLETED, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}),
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.COMPLETED: frozenset(),
    JobState.CANCELLED: frozenset({JobState.QUEUED, JobState.RUNNING}),
    JobState.FAILED: frozenset({JobState.QUEUED, JobState.RUNNING}),
}
TRIAL_TRANSITIONS: Mapping[TrialState, frozenset[TrialState]] = {
    TrialState.ACTIVE: frozenset({TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED, TrialState.CANCELLED}),
    TrialState.COMPLETED: frozenset(),
    TrialState.PRUNED: frozenset(),
    TrialState.FAILED: frozenset({TrialState.ACTIVE}),
    TrialState.CANCELLED: frozenset({TrialState.ACTIVE}),
}
RUN_TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.LEASED, RunState.CANCELLED}),
    RunState.LEASED: frozenset(
        {RunState.QUEUED, RunState.SUCCEEDED, RunState.DIVERGED, RunState.FAILED, RunState.CANCELLED}
    ),
    RunState.SUCCEEDED: frozenset(),
    RunState.DIVERGED: frozenset(),
    RunState.FAILED: frozenset({RunState.QUEUED}),
    RunState.CANCELLED: frozenset({RunState.QUEUED}),
}

OVER: frozenset[JobState | TrialState | RunState] = frozenset(
    {
        *(JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED),
        *(TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED, TrialState.CANCELLED),
        *(RunState.SUCCEEDED, RunState.DIVERGED, RunState.FAILED, RunState.CANCELLED),
    }
)
"""States in which nothing happens any more, unless a person has a failed or cancelled job tried again."""

State = TypeVar("State", JobState, TrialState, RunState)


def check_transition(table: Mapping[State, frozenset[State]], *, kind: str, key: str, state: State, to: State) -> None:
    """Refuse a step that the table does not allow.

    Args:
        table: One of the three tables of this module.
        kind: ``"job"``, ``"trial"`` or ``"run"``, for the message.
        key: The object's id, for the message.
        state: The state it is in.
        to: The state it should take.

    Raises:
        IllegalTransition: ``to`` cannot be reached from ``state`` in one step.
    """
    if to not in table[state]:
        raise IllegalTransition(kind, key=key, state=state.value, wanted=to.value)


def is_terminal(state: JobState | TrialState | RunState) -> bool:
    """Whether nothing happens any more by itself."""
    return state in OVER
