"""Jobs, as users see them: submit, look, cancel."""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.errors import IdempotencyConflict, InvalidValue, NotFound
from tuner.jobs.records import CurvePoint, JobRecord, RunRecord, TrialRecord
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState
from tuner.people.roles import LOCAL_ACTOR, Actor
from tuner.store import fleet
from tuner.store.database import Part, Tx, reads, writes
from tuner.store.lifecycle import EventKind, end_job, find_job, lock_job
from tuner.store.models import Account, Job, Point, Report, Run, Trial
from tuner.store.rows import as_json, curve_point, job_record, run_record, trial_record
from tuner.store.upsert import insert_new

MAX_PAGE = 500
MAX_KEY_LENGTH = 200

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list."""

    items: tuple[Item, ...]
    next_cursor: str | None
    """Where the next page begins; ``None`` on the last one."""


class Jobs(Part):
    """What users ask for, and what became of it."""

    @writes
    def submit(
        self, tx: Tx, spec: JobSpec, *, by: Actor = LOCAL_ACTOR, idempotency_key: str | None = None
    ) -> JobRecord:
        """Store a job; planning is due at once.

        Args:
            spec: The request, complete: ``search.space`` is given.
            by: Who submits, and will own the job.
            idempotency_key: The same key and request from the same team give the same job, however often they come.

        Raises:
            InvalidValue: The space is missing, an option is not JSON with finite numbers, or the key is longer than
                200 characters.
            NotFound: No worker has announced the workload.
            IdempotencyConflict: The key was used for another request.
        """
        if spec.search.space is None:
            raise InvalidValue("search.space", value=None, allowed="given once a job is stored")
        if idempotency_key is not None and not 1 <= len(idempotency_key) <= MAX_KEY_LENGTH:
            allowed = f"1 to {MAX_KEY_LENGTH} characters long"
            raise InvalidValue("idempotency_key", value=idempotency_key, allowed=allowed)
        as_json(spec.options, field="options")
        job_id = str(uuid.uuid4())
        row: dict[str, Any] = {
            "id": job_id,
            "state": JobState.QUEUED,
            "team": spec.team,
            "owner": by.user,
            "shared": spec.shared,
            "name": spec.name,
            "priority": spec.priority.rank,
            "workload": spec.workload,
            "workload_version": fleet.find_workload(tx.session, spec.workload).version,
            "spec": spec.model_dump(mode="json"),
            "idempotency_key": idempotency_key,
            "created_at": tx.now,
            "updates_spent": 0,
            "device_seconds": 0.0,
            "plan_due": True,
        }
        insert_new(tx.session, Account, row={"team": spec.team, "owner": by.user}, key=("team", "owner"))
        if not insert_new(tx.session, Job, row=row, key=("team", "idempotency_key")):
            return _same_request(tx, spec, idempotency_key=idempotency_key)
        tx.tell(EventKind.JOB_SUBMITTED, job_id=job_id, name=spec.name, workload=spec.workload, team=spec.team)
        return job_record(find_job(tx.session, job_id))

    @reads
    def get(self, session: Session, job_id: str) -> JobRecord:
        """One job.

        Raises:
            NotFound: There is no such job.
        """
        return job_record(find_job(session, job_id))

    @reads
    def list(
        self,
        session: Session,
        *,
        states: Collection[JobState] | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[JobRecord]:
        """Jobs, the newest first.

        Args:
            states: Only jobs in these states; all when absent.
            cursor: ``next_cursor`` of the page before; the first page when absent.
            limit: Jobs on the page, 1 to 500.

        Raises:
            InvalidValue: The limit is out of range, or the cursor is none of ours.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidValue("limit", value=limit, allowed=f"in [1, {MAX_PAGE}]")
        query = select(Job).order_by(Job.seq.desc()).limit(limit + 1)
        if states is not None:
            query = query.where(Job.state.in_(states))
        if cursor is not None:
            query = query.where(Job.seq < _place(cursor))
        jobs = session.scalars(query).all()
        more = len(jobs) > limit
        return Page(
            items=tuple(job_record(job) for job in jobs[:limit]),
            next_cursor=str(jobs[limit - 1].seq) if more else None,
        )

    @writes
    def cancel(self, tx: Tx, job_id: str, *, reason: str) -> JobRecord:
        """Stop a job: its open runs and trials are cancelled with it, and their workers' leases are lost.

        A cancelled job stays as it is.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: It has already completed or failed.
        """
        job = lock_job(tx, job_id)
        if job.state is not JobState.CANCELLED:
            end_job(tx, job, state=JobState.CANCELLED, reason=reason)
        return job_record(job)

    @reads
    def trials(self, session: Session, job_id: str) -> tuple[TrialRecord, ...]:
        """A job's trials, by number.

        Raises:
            NotFound: There is no such job.
        """
        find_job(session, job_id)
        return read_trials(session, job_id)

    @reads
    def runs(self, session: Session, job_id: str) -> tuple[RunRecord, ...]:
        """A job's runs, in the order of creation.

        Raises:
            NotFound: There is no such job.
        """
        find_job(session, job_id)
        return read_runs(session, job_id)

    @reads
    def run(self, session: Session, run_id: str) -> RunRecord:
        """One run.

        Raises:
            NotFound: There is no such run.
        """
        return run_record(_find_run(session, run_id))

    @reads
    def curve(self, session: Session, run_id: str) -> tuple[CurvePoint, ...]:
        """A run's evaluations, by step.

        Raises:
            NotFound: There is no such run.
        """
        _find_run(session, run_id)
        points = session.scalars(select(Point).where(Point.run_id == run_id).order_by(Point.step))
        return tuple(curve_point(point) for point in points)

    @reads
    def report(self, session: Session, job_id: str) -> dict[str, Any] | None:
        """A completed job's report; ``None`` while there is none.

        Raises:
            NotFound: There is no such job.
        """
        find_job(session, job_id)
        return session.scalar(select(Report.report).where(Report.job_id == job_id))


def read_trials(session: Session, job_id: str) -> tuple[TrialRecord, ...]:
    """A job's trials, by number."""
    trials = session.scalars(select(Trial).where(Trial.job_id == job_id).order_by(Trial.number))
    return tuple(trial_record(trial) for trial in trials)


def read_runs(session: Session, job_id: str) -> tuple[RunRecord, ...]:
    """A job's runs, in the order of creation."""
    runs = session.scalars(select(Run).where(Run.job_id == job_id).order_by(Run.seq))
    return tuple(run_record(run) for run in runs)


def _same_request(tx: Tx, spec: JobSpec, *, idempotency_key: str | None) -> JobRecord:
    """The job that an idempotency key stands for, if it asks for the same."""
    query = select(Job).where(Job.team == spec.team, Job.idempotency_key == idempotency_key)
    job = job_record(tx.session.scalars(query).one())
    if job.spec != spec:
        raise IdempotencyConflict(str(idempotency_key), job_id=job.id)
    return job


def _find_run(session: Session, run_id: str) -> Run:
    run = session.scalar(select(Run).where(Run.id == run_id))
    if run is None:
        raise NotFound("run", key=run_id)
    return run


def _place(cursor: str) -> int:
    # Nineteen digits would not fit the column.
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidValue("cursor", value=cursor, allowed="the next_cursor of an earlier page")
    return int(cursor)
