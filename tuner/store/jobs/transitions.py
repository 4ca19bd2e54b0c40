"""State transitions of jobs, trials and runs: checked against the transition tables, each with its event.

Rows are locked in one order everywhere, team before job before run, so that transactions do not deadlock. Inserting an
event takes a key-share lock on the job's row in PostgreSQL; ``FOR NO KEY UPDATE`` is compatible with that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.jobs.attempts import LOST_ATTEMPTS, AttemptEnd, reason_to_give_up
from tuner.jobs.states import (
    JOB_TRANSITIONS,
    RUN_TRANSITIONS,
    TRIAL_TRANSITIONS,
    JobState,
    RunState,
    TrialState,
    check_transition,
)
from tuner.store.accounting.usage import record_usage
from tuner.store.db.database import Tx
from tuner.store.db.models import Job, Run, Trial
from tuner.store.db.rows import clipped_text, job_metric
from tuner.store.jobs.events import EventKind

State = TypeVar("State", JobState, TrialState, RunState)


_JOB_ENDED = {
    JobState.COMPLETED: EventKind.JOB_COMPLETED,
    JobState.FAILED: EventKind.JOB_FAILED,
    JobState.CANCELLED: EventKind.JOB_CANCELLED,
}
_RUN_ENDED = {
    RunState.SUCCEEDED: EventKind.RUN_SUCCEEDED,
    RunState.DIVERGED: EventKind.RUN_DIVERGED,
    RunState.STOPPED: EventKind.RUN_STOPPED,
    RunState.FAILED: EventKind.RUN_FAILED,
}


def find_job(session: Session, job_id: str) -> Job:
    """A job's row.

    Raises:
        NotFound: There is no such job.
    """
    job = session.scalar(select(Job).where(Job.id == job_id))
    if job is None:
        raise NotFound("job", key=job_id)
    return job


def read_team(session: Session, job_id: str) -> str:
    """The team of a job; it never changes.

    Reads this column alone: the session would cache a loaded row and still show its old values once it is locked.

    Raises:
        NotFound: There is no such job.
    """
    team = session.scalar(select(Job.team).where(Job.id == job_id))
    if team is None:
        raise NotFound("job", key=job_id)
    return team


def lock_job(tx: Tx, job_id: str) -> Job:
    """Lock a job's row until the transaction ends.

    Raises:
        NotFound: There is no such job.
    """
    job = tx.session.scalar(select(Job).where(Job.id == job_id).with_for_update(key_share=True))
    if job is None:
        raise NotFound("job", key=job_id)
    return job


def emit_run_event(tx: Tx, kind: EventKind, run: Run, **data: object) -> None:
    """Add an event of a run."""
    tx.emit(kind, job_id=run.job_id, run=run.id, trial=run.trial_number, **data)


def end_run(
    tx: Tx,
    job: Job,
    run: Run,
    *,
    state: RunState,
    loss: float | None = None,
    error: str | None = None,
    **data: object,
) -> None:
    """End a leased run; planning is due. The event has ``data`` beside the result."""
    check_transition(RUN_TRANSITIONS, kind="run", key=run.id, state=run.state, to=state)
    run.state = state
    run.loss = loss
    run.error = clipped_text(error) if error else None
    run.finished_at = tx.now
    _end_lease(run)
    job.plan_due = True
    value = job_metric(job).value_or_none(loss)
    ended = {"step": run.step, "total_steps": run.total_steps, "value": value, "metric": job.metric}
    emit_run_event(tx, _RUN_ENDED[state], run, **ended, reason=run.error, **data)


def requeue_or_fail(
    tx: Tx, job: Job, run: Run, *, end: AttemptEnd, reason: str, lost_limit: int = LOST_ATTEMPTS
) -> bool:
    """Count an attempt, and return its run to the queue or, where that is the last one, fail it.

    Args:
        tx: Holds both rows.
        job: Of the run.
        run: A leased run.
        end: How the attempt ended.
        reason: What happened.
        lost_limit: Attempts in a row that may be lost while no snapshot moves on.

    Returns:
        Whether it is queued again.
    """
    job.plan_due = True
    count_attempt(job, run, end=end)
    given_up = reason_to_give_up(
        end, failed=run.failed_attempts, lost_in_a_row=run.lost_in_a_row, lost_limit=lost_limit
    )
    if given_up is None:
        requeue_run(tx, run, end=end, reason=reason)
        return True
    end_run(tx, job, run, state=RunState.FAILED, error=f"{given_up}: {reason}", end=end)
    return False


def count_attempt(job: Job, run: Run, *, end: AttemptEnd) -> None:
    """Count an attempt that left its run without a result."""
    if end is AttemptEnd.FAILED:
        run.failed_attempts += 1
        job.failed_attempts += 1
    if end is AttemptEnd.LOST:
        run.lost_attempts += 1
        run.lost_in_a_row += 1
        job.lost_attempts += 1


def requeue_run(tx: Tx, run: Run, *, end: AttemptEnd, reason: str) -> None:
    """Return a leased run to the queue, in its old place, after its attempt ended so; it keeps its snapshot."""
    check_transition(RUN_TRANSITIONS, kind="run", key=run.id, state=run.state, to=RunState.QUEUED)
    run.state = RunState.QUEUED
    run.worker = None
    _end_lease(run)
    run.queued_at = tx.now
    emit_run_event(
        tx,
        EventKind.RUN_REQUEUED,
        run,
        attempt=run.attempts,
        end=end,
        failed_attempts=run.failed_attempts,
        lost_attempts=run.lost_attempts,
        reason=clipped_text(reason),
    )


def end_trial(tx: Tx, trial: Trial, *, state: TrialState, reason: str) -> None:
    """End a trial."""
    key = f"{trial.number} of job {trial.job_id}"
    check_transition(TRIAL_TRANSITIONS, kind="trial", key=key, state=trial.state, to=state)
    trial.state = state
    trial.end_reason = clipped_text(reason)
    tx.emit(f"trial.{state.value}", job_id=trial.job_id, trial=trial.number, reason=trial.end_reason)


def end_job(tx: Tx, job: Job, *, state: JobState, reason: str | None = None) -> None:
    """End a job with its open trials and runs: their leases and the study lock become void.

    Args:
        tx: The transaction.
        job: The job.
        state: How it ended.
        reason: Why; of a job that was not completed, it is its error.
    """
    reason = clipped_text(reason) if reason else None
    check_transition(JOB_TRANSITIONS, kind="job", key=job.id, state=job.state, to=state)
    job.state = state
    job.error = None if state is JobState.COMPLETED else reason
    job.finished_at = tx.now
    job.plan_due = False
    unlock_study(job)
    leased = select(Run).where(Run.job_id == job.id, Run.state == RunState.LEASED).order_by(Run.seq)
    for run in tx.session.scalars(leased.with_for_update(key_share=True)):
        record_usage(tx, job, run, silent=True)
        _end_lease(run)
        run.state = RunState.CANCELLED
        run.finished_at = tx.now
    tx.session.flush()
    # The queued runs, in one statement. One may have been leased in between: it has used no device time yet.
    runs = update(Run).where(Run.job_id == job.id, Run.state.in_(_sources(RUN_TRANSITIONS, RunState.CANCELLED)))
    tx.session.execute(
        runs.values(
            state=RunState.CANCELLED,
            finished_at=tx.now,
            **dict.fromkeys(("lease_token", "lease_expires_at", "accounted_at", "expected_seconds", "stop_reason")),
        )
    )
    trials = update(Trial).where(
        Trial.job_id == job.id, Trial.state.in_(_sources(TRIAL_TRANSITIONS, TrialState.CANCELLED))
    )
    tx.session.execute(trials.values(state=TrialState.CANCELLED, end_reason=f"the job was {state.value}"))
    tx.emit(_JOB_ENDED[state], job_id=job.id, reason=reason)


def start_job(tx: Tx, job: Job) -> None:
    """Start a job."""
    check_transition(JOB_TRANSITIONS, kind="job", key=job.id, state=job.state, to=JobState.RUNNING)
    job.state = JobState.RUNNING
    job.started_at = tx.now
    tx.emit(EventKind.JOB_STARTED, job_id=job.id)


def _end_lease(run: Run) -> None:
    run.lease_token = run.lease_expires_at = run.accounted_at = run.expected_seconds = run.stop_reason = None


def unlock_study(job: Job) -> None:
    """Free the study lock."""
    job.lock_token = job.lock_owner = job.lock_expires_at = None


def _sources(table: Mapping[State, frozenset[State]], to: State) -> list[State]:
    return [state for state, following in table.items() if to in following]
