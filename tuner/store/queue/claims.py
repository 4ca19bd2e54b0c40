"""What a worker gets of the job whose turn it is: a lease on its next run, else the lock on its study."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute

from tuner.jobs.records import LeasedRun, SnapshotRef, StudyLock, WorkerOffer
from tuner.jobs.states import RUN_TRANSITIONS, JobState, RunState, check_transition
from tuner.schedules import Schedule
from tuner.store.accounting.usage import expected_seconds
from tuner.store.db.database import Tx
from tuner.store.db.models import Job, Run, Snapshot, Trial, Worker
from tuner.store.jobs.lifecycle import EventKind, tell_run
from tuner.store.queue.leases import lock_leased
from tuner.store.queue.next_job import ClaimCandidate, ClaimRequest, claim_candidates, planning_is_due

_SCHEDULER_LOCK = 0x6D61726B6574  # an advisory lock of its own; the bytes spell "market"
_OPEN = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """For how long things are lent."""

    lease_seconds: float
    lock_seconds: float


def lock_scheduler(tx: Tx) -> None:
    """Let no other transaction decide about runs until this one has ended.

    What a decision counts, runs that a team has and devices that are free, is then as it was counted. SQLite has one
    writer at a time anyway.
    """
    if tx.session.get_bind().dialect.name == "postgresql":
        # Before every row, so it cannot deadlock.
        tx.session.execute(select(func.pg_advisory_xact_lock(_SCHEDULER_LOCK)))


def claim_next(tx: Tx, asking: ClaimRequest, *, terms: Terms) -> LeasedRun | StudyLock | None:
    """Decide whose turn it is, and give the worker what the job has for it; ``None`` when no job has anything.

    The scheduler lock must be held.
    """
    passed: set[int] = set()
    while True:
        looked_at = len(passed)
        for turn in claim_candidates(tx.session, asking, passed=frozenset(passed)):
            given = _give(tx, asking, turn=turn, terms=terms)
            if given is not None:
                return given
            # Somebody changes it at this moment; the next in turn should not wait for that.
            passed.add(turn.seq)
        if len(passed) == looked_at:
            return None


def _give(tx: Tx, asking: ClaimRequest, *, turn: ClaimCandidate, terms: Terms) -> LeasedRun | StudyLock | None:
    if turn.may_train:
        ready = (
            select(Run, Job)
            .join(Job, Job.id == Run.job_id)
            .where(
                Job.seq == turn.seq,
                Run.state == RunState.QUEUED,
                Job.state == JobState.RUNNING,
                Job.limit_reached.is_(None),
            )
            .order_by(*_best_first(asking.prefix_key))
            .limit(1)
            .with_for_update(of=Run, skip_locked=True, key_share=True)
        )
        found = tx.session.execute(ready).one_or_none()
        if found is not None:
            run, job = found
            return _lease(tx, job, run, offer=asking.offer, seconds=terms.lease_seconds)
    due = (
        select(Job)
        .where(Job.seq == turn.seq, Job.state.in_(_OPEN), planning_is_due(asking.now))
        .with_for_update(skip_locked=True, key_share=True)
    )
    planned = tx.session.scalar(due)
    return None if planned is None else _lock(tx, planned, worker=asking.offer.name, seconds=terms.lock_seconds)


def _best_first(prefix_key: str | None) -> Sequence[ColumnElement[int] | InstrumentedAttribute[int]]:
    """The runs that are likely to begin like the one that the worker has trained last, then the oldest."""
    return [Run.seq] if prefix_key is None else [case((Run.prefix_key == prefix_key, 0), else_=1), Run.seq]


def _lease(tx: Tx, job: Job, run: Run, *, offer: WorkerOffer, seconds: float) -> LeasedRun:
    check_transition(RUN_TRANSITIONS, kind="run", key=run.id, state=run.state, to=RunState.LEASED)
    snapshot = tx.session.get(Snapshot, run.id)
    left = run.total_steps - (0 if snapshot is None else snapshot.step)
    token = str(uuid.uuid4())
    run.state = RunState.LEASED
    run.worker = offer.name
    run.lease_token = token
    run.lease_expires_at = expires_at = tx.now + seconds
    run.accounted_at = tx.now
    run.expected_seconds = expected_seconds(tx.session, job, offer=offer, updates=left)
    run.attempts += 1
    run.started_at = run.started_at or tx.now
    waited = tx.now - run.queued_at
    tell_run(tx, EventKind.RUN_STARTED, run, worker=offer.name, attempt=run.attempts, waited_seconds=waited)
    return LeasedRun(
        run_id=run.id,
        job_id=run.job_id,
        token=token,
        attempt=run.attempts,
        expires_at=expires_at,
        workload=job.workload,
        workload_version=job.workload_version,
        options={**job.spec["options"], **_trial_options(tx, run)},
        schedule=Schedule.model_validate(run.schedule),
        total_steps=run.total_steps,
        seed=run.seed,
        prefix_key=run.prefix_key,
        snapshot=None if snapshot is None else SnapshotRef(step=snapshot.step, path=snapshot.path),
        waited_seconds=waited,
    )


def _trial_options(tx: Tx, run: Run) -> dict[str, Any]:
    options: dict[str, Any] = tx.session.execute(select(Trial.options).where(Trial.id == run.trial_id)).scalar_one()
    return options


def lock_study_beside(tx: Tx, lease: LeasedRun, *, seconds: float) -> StudyLock | None:
    """The lock on the study of a leased run, where nothing of it waits and planning may find what comes next.

    Raises:
        LeaseLost: The lease is no longer held.
    """
    job, run = lock_leased(tx, lease)
    waiting = select(Run.seq).where(Run.job_id == job.id, Run.state == RunState.QUEUED).limit(1)
    draining = select(Worker.name).where(Worker.name == run.worker, Worker.draining)
    if (
        job.state is not JobState.RUNNING
        or job.limit_reached is not None
        or not job.plan_due
        or job.lock_token is not None
        or tx.session.scalar(waiting) is not None
        or tx.session.scalar(draining) is not None
    ):
        return None
    return _lock(tx, job, worker=str(run.worker), seconds=seconds)


def _lock(tx: Tx, job: Job, *, worker: str, seconds: float) -> StudyLock:
    token = str(uuid.uuid4())
    job.plan_due = False
    job.lock_token = token
    job.lock_owner = worker
    job.lock_expires_at = expires_at = tx.now + seconds
    return StudyLock(job_id=job.id, token=token, expires_at=expires_at)
