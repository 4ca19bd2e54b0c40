"""The state machines of a job, a trial and a run: one table each. A test compares them with `docs/states.md`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from tuner.errors import IllegalTransition


class JobState(StrEnum):
    """The state of a job. Members are stored: they may be added, never removed."""

    QUEUED = "queued"
    """Accepted; no run of it has been planned yet."""
    RUNNING = "running"
    """Its study is open: runs are planned and trained."""
    PAUSED = "paused"
    """Paused by a user: no run is planned or started, and its active runs stop with a snapshot."""
    COMPLETED = "completed"
    """Its report is stored."""
    CANCELLED = "cancelled"
    """Cancelled by a user; results so far stay."""
    FAILED = "failed"
    """It cannot reach a report; the reason is stored."""


class TrialState(StrEnum):
    """The state of a trial (one configuration)."""

    ACTIVE = "active"
    """Its first run has not ended."""
    COMPLETED = "completed"
    """It was trained to the horizon; runs on further seeds may follow."""
    PRUNED = "pruned"
    """Its first run diverged, or was stopped early."""
    FAILED = "failed"
    """The workload failed; the sampler learns nothing from it."""
    CANCELLED = "cancelled"
    """Its job ended first."""


class RunState(StrEnum):
    """The state of a run (one training of one configuration)."""

    QUEUED = "queued"
    """Ready to be claimed."""
    LEASED = "leased"
    """A worker holds the right to it until the lease expires."""
    SUCCEEDED = "succeeded"
    """Trained to its end; its result is recorded."""
    DIVERGED = "diverged"
    """Ended by a number that is not finite, or a loss far above the start: a result, not a failure."""
    STOPPED = "stopped"
    """Stopped early, because the forecast of its loss at the end left it almost no chance: its updates are spent."""
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
        {
            *(RunState.QUEUED, RunState.SUCCEEDED, RunState.DIVERGED),
            *(RunState.STOPPED, RunState.FAILED, RunState.CANCELLED),
        }
    ),
    RunState.SUCCEEDED: frozenset(),
    RunState.DIVERGED: frozenset(),
    RunState.STOPPED: frozenset(),
    RunState.FAILED: frozenset({RunState.QUEUED}),
    RunState.CANCELLED: frozenset({RunState.QUEUED}),
}

TERMINAL_STATES: frozenset[JobState | TrialState | RunState] = frozenset(
    {
        *(JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED),
        *(TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED, TrialState.CANCELLED),
        *(RunState.SUCCEEDED, RunState.DIVERGED, RunState.STOPPED, RunState.FAILED, RunState.CANCELLED),
    }
)
"""States that change no more, unless a user retries a failed or cancelled job."""

State = TypeVar("State", JobState, TrialState, RunState)


def check_transition(table: Mapping[State, frozenset[State]], *, kind: str, key: str, state: State, to: State) -> None:
    """Refuse a transition that the table does not allow.

    Args:
        table: One of the three tables of this module.
        kind: ``"job"``, ``"trial"`` or ``"run"``, for the message.
        key: The object's id, for the message.
        state: The current state.
        to: The new state.

    Raises:
        IllegalTransition: ``to`` cannot be reached from ``state`` in one step.
    """
    if to not in table[state]:
        raise IllegalTransition(kind, key=key, state=state.value, wanted=to.value)


def is_terminal(state: JobState | TrialState | RunState) -> bool:
    """Whether the state is terminal."""
    return state in TERMINAL_STATES
