"""Claims: a worker gets a lease on the next run of the first job in line, else the lock on that job's study."""

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
from tuner.search.decision.decisions import RANGE_TEST_TRIAL
from tuner.search.range_test.settings import EVALUATIONS
from tuner.store.accounting.usage import expected_seconds
from tuner.store.db.database import Tx
from tuner.store.db.models import Job, Run, Snapshot, Trial, Worker
from tuner.store.db.rows import job_metric
from tuner.store.jobs.events import EventKind
from tuner.store.jobs.transitions import emit_run_event
from tuner.store.queue.leases import lock_lease
from tuner.store.queue.next_job import CandidateJob, ClaimRequest, candidate_jobs, planning_is_due

_SCHEDULER_LOCK = 0x6D61726B6574
"""Key of an advisory lock that nothing else uses."""
_OPEN = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, kw_only=True)
class LeaseDurations:
    """How long a lease and a study lock last without being extended."""

    lease_seconds: float
    lock_seconds: float


def lock_scheduler(tx: Tx) -> None:
    """Serialize scheduling decisions: no other transaction takes one until this one has ended.

    A decision counts the runs of each team and the free devices; the lock keeps these counts true until it commits.
    SQLite has a single writer anyway.
    """
    if tx.session.get_bind().dialect.name == "postgresql":
        # Taken before any row lock, so it cannot deadlock.
        tx.session.execute(select(func.pg_advisory_xact_lock(_SCHEDULER_LOCK)))


def claim_next(tx: Tx, request: ClaimRequest, *, durations: LeaseDurations) -> LeasedRun | StudyLock | None:
    """Claim for the worker from the first job in line that has work for it; ``None`` when no job has any.

    The scheduler lock must be held.
    """
    skipped: set[int] = set()
    while True:
        before = len(skipped)
        for candidate in candidate_jobs(tx.session, request, skipped=frozenset(skipped)):
            claimed = _claim_from_job(tx, request, job=candidate, durations=durations)
            if claimed is not None:
                return claimed
            # Another transaction holds its rows; the worker takes the next job instead of waiting.
            skipped.add(candidate.seq)
        if len(skipped) == before:
            return None


def _claim_from_job(
    tx: Tx, request: ClaimRequest, *, job: CandidateJob, durations: LeaseDurations
) -> LeasedRun | StudyLock | None:
    if job.may_train:
        # SKIP LOCKED: a run that another transaction holds is not waited for.
        ready = (
            select(Run, Job)
            .join(Job, Job.id == Run.job_id)
            .where(
                Job.seq == job.seq,
                Run.state == RunState.QUEUED,
                Job.state == JobState.RUNNING,
                Job.limit_reached.is_(None),
            )
            .order_by(*_run_order(request.prefix_key))
            .limit(1)
            .with_for_update(of=Run, skip_locked=True, key_share=True)
        )
        found = tx.session.execute(ready).one_or_none()
        if found is not None:
            run, of_job = found
            return _lease_run(tx, of_job, run, offer=request.offer, seconds=durations.lease_seconds)
    due = (
        select(Job)
        .where(Job.seq == job.seq, Job.state.in_(_OPEN), planning_is_due(request.now))
        .with_for_update(skip_locked=True, key_share=True)
    )
    row = tx.session.scalar(due)
    return None if row is None else _lock_study(tx, row, worker=request.offer.name, seconds=durations.lock_seconds)


def _run_order(prefix_key: str | None) -> Sequence[ColumnElement[int] | InstrumentedAttribute[int]]:
    """First the runs that are likely to share a prefix with the worker's last run, then the oldest."""
    return [Run.seq] if prefix_key is None else [case((Run.prefix_key == prefix_key, 0), else_=1), Run.seq]


def _lease_run(tx: Tx, job: Job, run: Run, *, offer: WorkerOffer, seconds: float) -> LeasedRun:
    check_transition(RUN_TRANSITIONS, kind="run", key=run.id, state=run.state, to=RunState.LEASED)
    snapshot = tx.session.get(Snapshot, run.id)
    remaining = run.total_steps - (0 if snapshot is None else snapshot.step)
    token = str(uuid.uuid4())
    run.state = RunState.LEASED
    run.worker = offer.name
    run.lease_token = token
    run.lease_expires_at = expires_at = tx.now + seconds
    run.accounted_at = tx.now
    run.expected_seconds = expected_seconds(tx.session, job, offer=offer, updates=remaining)
    run.attempts += 1
    run.started_at = run.started_at or tx.now
    waited = max(0.0, tx.now - run.queued_at)
    emit_run_event(tx, EventKind.RUN_STARTED, run, worker=offer.name, attempt=run.attempts, waited_seconds=waited)
    return LeasedRun(
        run_id=run.id,
        job_id=run.job_id,
        token=token,
        attempt=run.attempts,
        expires_at=expires_at,
        workload=job.workload,
        workload_version=job.workload_version,
        metric=job_metric(job),
        options={**job.spec["options"], **_trial_options(tx, run)},
        schedule=Schedule.model_validate(run.schedule),
        total_steps=run.total_steps,
        seed=run.seed,
        evaluations=EVALUATIONS if run.trial_number == RANGE_TEST_TRIAL else None,
        prefix_key=run.prefix_key,
        snapshot=None if snapshot is None else SnapshotRef(step=snapshot.step, path=snapshot.path),
        waited_seconds=waited,
    )


def _trial_options(tx: Tx, run: Run) -> dict[str, Any]:
    options: dict[str, Any] = tx.session.execute(select(Trial.options).where(Trial.id == run.trial_id)).scalar_one()
    return options


def lock_study_beside(tx: Tx, lease: LeasedRun, *, seconds: float) -> StudyLock | None:
    """Lock the study of a leased run, if none of its runs is queued and planning is due.

    Raises:
        LeaseLost: The lease is no longer held.
    """
    job, run = lock_lease(tx, lease)
    queued = select(Run.seq).where(Run.job_id == job.id, Run.state == RunState.QUEUED).limit(1)
    draining = select(Worker.name).where(Worker.name == run.worker, Worker.draining)
    if (
        job.state is not JobState.RUNNING
        or job.limit_reached is not None
        or not job.plan_due
        or job.lock_token is not None
        or tx.session.scalar(queued) is not None
        or tx.session.scalar(draining) is not None
    ):
        return None
    return _lock_study(tx, job, worker=str(run.worker), seconds=seconds)


def _lock_study(tx: Tx, job: Job, *, worker: str, seconds: float) -> StudyLock:
    token = str(uuid.uuid4())
    job.plan_due = False
    job.lock_token = token
    job.lock_owner = worker
    job.lock_expires_at = expires_at = tx.now + seconds
    return StudyLock(job_id=job.id, token=token, expires_at=expires_at)
