"""Jobs, as users see them: submit, look, change, pause, cancel, try again, delete."""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.errors import IdempotencyConflict, InvalidValue, LimitReached, NotFound, TunerError
from tuner.jobs.admission.change import JobChange
from tuner.jobs.progress import JobDetail
from tuner.jobs.records import EVERYTHING, JobRecord, Visibility
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState
from tuner.people.roles import LOCAL_ACTOR, Actor
from tuner.store.accounting.team_quotas import check_open_job, check_priority, hold_team
from tuner.store.db.database import Repository, Tx, reads, writes
from tuner.store.db.models import Account, Job, Report
from tuner.store.db.pages import Page, check_limit, page_of, place_of
from tuner.store.db.rows import as_json, job_record
from tuner.store.db.upsert import insert_new
from tuner.store.jobs import workers
from tuner.store.jobs.job_changes import change_job, delete_job, pause_job, resume_job, retry_job
from tuner.store.jobs.job_detail import read_detail
from tuner.store.jobs.job_list import matching, visible
from tuner.store.jobs.lifecycle import EventKind, end_job, find_job, lock_job, team_of

MAX_KEY_LENGTH = 200


class Jobs(Repository):
    """What users ask for, and what became of it.

    Everything that a person causes is written to the audit log, in the same transaction.
    """

    @writes
    def submit(
        self,
        tx: Tx,
        spec: JobSpec,
        *,
        by: Actor = LOCAL_ACTOR,
        idempotency_key: str | None = None,
        request_digest: str | None = None,
        origin: str | None = None,
    ) -> JobRecord:
        """Store a job; planning is due at once.

        Args:
            spec: The request, complete: ``search.space`` is given.
            by: Who submits, and will own the job.
            idempotency_key: The same key and request from the same team give the same job, however often they come.
            request_digest: What the request is known by beside the key
                (`tuner.jobs.admission.strict_json.request_digest`); when absent, ``spec`` itself.
            origin: Id of the job that it was cloned from.

        Raises:
            InvalidValue: The space is missing, an option is not JSON with finite numbers, the key is longer than 200
                characters, or the priority is above what the team may use.
            NotFound: No worker has announced the workload, or there are teams and this is none of them.
            LimitReached: The team or the user has too many open jobs, or has used up the month's device hours.
            IdempotencyConflict: The key was used for another request.
        """
        if spec.search.space is None:
            raise InvalidValue("search.space", value=None, allowed="given once a job is stored")
        if idempotency_key is not None and not 1 <= len(idempotency_key) <= MAX_KEY_LENGTH:
            allowed = f"1 to {MAX_KEY_LENGTH} characters long"
            raise InvalidValue("idempotency_key", value=idempotency_key, allowed=allowed)
        as_json(spec.options, field="options")
        settings = hold_team(tx, spec.team)
        earlier = _of_key(tx.session, spec.team, idempotency_key=idempotency_key)
        if earlier is not None:
            return _same_request(earlier, spec=spec, request_digest=request_digest)
        check_priority(settings, spec.priority)
        check_open_job(tx, settings, team=spec.team, owner=by.user)
        row = _new_row(tx, spec, by=by)
        row |= {"idempotency_key": idempotency_key, "request_digest": request_digest, "origin": origin}
        insert_new(tx.session, Account, row={"team": spec.team, "owner": by.user}, key=("team", "owner"))
        if not insert_new(tx.session, Job, row=row, key=("team", "idempotency_key")):
            # Without teams nothing is held above, and the same request may have come in between.
            earlier = _of_key(tx.session, spec.team, idempotency_key=idempotency_key)
            if earlier is None:
                raise RuntimeError(f"job with idempotency key {idempotency_key!r} is there and cannot be read")
            return _same_request(earlier, spec=spec, request_digest=request_digest)
        job_id = row["id"]
        tx.audit(by, "job.submit", target=job_id, team=spec.team, name=spec.name, origin=origin)
        tx.tell(EventKind.JOB_SUBMITTED, job_id=job_id, name=spec.name, workload=spec.workload, team=spec.team)
        return job_record(find_job(tx.session, job_id))

    @writes
    def would_refuse(self, tx: Tx, spec: JobSpec, *, by: Actor = LOCAL_ACTOR) -> tuple[TunerError, ...]:
        """What `submit` would refuse a job for just now: its team, its priority, a limit. Nothing is stored.

        Args:
            spec: The request, complete.
            by: Who would submit it.
        """
        try:
            settings = hold_team(tx, spec.team)
        except NotFound as unknown:
            return (unknown,)
        found: list[TunerError] = []
        try:
            check_priority(settings, spec.priority)
        except InvalidValue as refused:
            found.append(refused)
        try:
            check_open_job(tx, settings, team=spec.team, owner=by.user)
        except LimitReached as reached:
            found.append(reached)
        return tuple(found)

    @reads
    def replayed(self, session: Session, team: str, *, idempotency_key: str, request_digest: str) -> JobRecord | None:
        """The job that a request has become already, if it has come before.

        Asked before the request is read closely: what was accepted once is answered the same, whatever defaults and
        workloads have changed since.

        Args:
            team: The team that it is for.
            idempotency_key: The key that it carries.
            request_digest: What it is known by (`tuner.jobs.admission.strict_json.request_digest`).

        Raises:
            IdempotencyConflict: The key was used for another request.
        """
        job = _of_key(session, team, idempotency_key=idempotency_key)
        if job is None:
            return None
        if job.request_digest != request_digest:
            raise IdempotencyConflict(idempotency_key, job_id=job.id)
        return job_record(job)

    @reads
    def get(self, session: Session, job_id: str) -> JobRecord:
        """One job.

        Raises:
            NotFound: There is no such job.
        """
        return job_record(find_job(session, job_id))

    @reads
    def detail(self, session: Session, job_id: str) -> JobDetail:
        """One job, how far it is, and what it costs at most.

        Raises:
            NotFound: There is no such job.
        """
        return read_detail(session, find_job(session, job_id))

    @reads
    def list(
        self,
        session: Session,
        *,
        visibility: Visibility = EVERYTHING,
        states: Collection[JobState] | None = None,
        team: str | None = None,
        workload: str | None = None,
        owner: str | None = None,
        text: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[JobRecord]:
        """Jobs, the newest first.

        Args:
            visibility: Who asks may see these.
            states: Only jobs in these states; all when absent.
            team: Only this team's.
            workload: Only of this workload.
            owner: Only this user's.
            text: Only with this in their name, notes or workload, in upper or lower case, or at the start of their id.
            cursor: ``next_cursor`` of the page before; the first page when absent.
            limit: Jobs on the page, 1 to 500.

        Raises:
            InvalidValue: The limit is out of range, or the cursor is none of ours.
        """
        check_limit(limit)
        wanted = matching(states=states, team=team, workload=workload, owner=owner, text=text)
        query = select(Job).where(visible(visibility), wanted).order_by(Job.seq.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(Job.seq < place_of(cursor))
        return page_of(session.scalars(query).all(), limit=limit, record=job_record, place=lambda job: job.seq)

    @writes
    def change(self, tx: Tx, job_id: str, change: JobChange, *, by: Actor = LOCAL_ACTOR) -> JobRecord:
        """Change what is given, and leave the rest.

        Whoever plans the job just now loses the study lock: it decides on what no longer holds. A limit that was
        reached and no longer is lets the job go on.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: It has completed, and more than name, notes and whether it is shared is to change.
            InvalidValue: The priority is above what the team may use, ``trials`` is below those that were opened, or
                ``max_updates`` below what an answer takes from here.
        """
        # The team before the job, like everywhere.
        settings = hold_team(tx, team_of(tx.session, job_id)) if "priority" in change.model_fields_set else None
        job = lock_job(tx, job_id)
        change_job(tx, job, change=change, settings=settings)
        tx.audit(by, "job.change", target=job.id, team=job.team, **change.given)
        return job_record(job)

    @writes
    def pause(self, tx: Tx, job_id: str, *, by: Actor = LOCAL_ACTOR) -> JobRecord:
        """Set a job aside: nothing of it is planned or begun, and its runs are told to stop at their next evaluation.

        A paused job stays as it is.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: It is over.
        """
        job = lock_job(tx, job_id)
        if job.state is not JobState.PAUSED:
            pause_job(tx, job)
            tx.audit(by, "job.pause", target=job.id, team=job.team)
        return job_record(job)

    @writes
    def resume(self, tx: Tx, job_id: str, *, by: Actor = LOCAL_ACTOR) -> JobRecord:
        """Go on with a paused job; planning is due. One that is not paused and not over stays as it is.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: It is over.
        """
        job = lock_job(tx, job_id)
        if job.state not in (JobState.QUEUED, JobState.RUNNING):
            resume_job(tx, job)
            tx.audit(by, "job.resume", target=job.id, team=job.team)
        return job_record(job)

    @writes
    def retry(self, tx: Tx, job_id: str, *, by: Actor = LOCAL_ACTOR) -> JobRecord:
        """Go on with a job that failed or was cancelled, where it stopped.

        Its failed and cancelled trials are active again, and their runs are trained from the start, with all their
        attempts. What has a result keeps it. The wall time of its limits counts from now.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: It has neither failed nor been cancelled.
            LimitReached: It would be one open job too many, or the month's device hours are used up.
        """
        settings = hold_team(tx, team_of(tx.session, job_id))
        job = lock_job(tx, job_id)
        retry_job(tx, job, allowed=lambda: check_open_job(tx, settings, team=job.team, owner=job.owner))
        tx.audit(by, "job.retry", target=job.id, team=job.team)
        return job_record(job)

    @writes
    def cancel(self, tx: Tx, job_id: str, *, reason: str, by: Actor = LOCAL_ACTOR) -> JobRecord:
        """Stop a job: its open runs and trials are cancelled with it, and their workers' leases are lost.

        A cancelled job stays as it is.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: It has already completed or failed.
        """
        job = lock_job(tx, job_id)
        if job.state is not JobState.CANCELLED:
            end_job(tx, job, state=JobState.CANCELLED, reason=reason)
            tx.audit(by, "job.cancel", target=job.id, team=job.team, reason=reason)
        return job_record(job)

    @writes
    def delete(self, tx: Tx, job_id: str, *, by: Actor = LOCAL_ACTOR) -> None:
        """Forget a job that is over, with its trials, runs, curves, logs, events and report.

        The device time that it took stays counted, and the audit log keeps what was done to it. Its Optuna study stays:
        `Store.delete_study` deletes that.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: It is not over.
        """
        job = lock_job(tx, job_id)
        delete_job(tx, job)
        tx.audit(by, "job.delete", target=job.id, team=job.team, name=job.name)

    @reads
    def report(self, session: Session, job_id: str) -> dict[str, Any] | None:
        """A completed job's report; ``None`` while there is none.

        Raises:
            NotFound: There is no such job.
        """
        find_job(session, job_id)
        return session.scalar(select(Report.report).where(Report.job_id == job_id))


def _new_row(tx: Tx, spec: JobSpec, *, by: Actor) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "state": JobState.QUEUED,
        "team": spec.team,
        "owner": by.user,
        "shared": spec.shared,
        "name": spec.name,
        "priority": spec.priority.rank,
        "workload": spec.workload,
        "workload_version": workers.find_workload(tx.session, spec.workload).version,
        "needs_device": spec.resources.device,
        "needs_devices": spec.resources.devices,
        "needs_memory_bytes": spec.resources.memory_bytes,
        "spec": spec.model_dump(mode="json"),
        "created_at": tx.now,
        "updates_spent": 0,
        "updates_saved": 0,
        "device_seconds": 0.0,
        "plan_due": True,
    }


def _of_key(session: Session, team: str, *, idempotency_key: str | None) -> Job | None:
    """The job that an idempotency key of a team stands for."""
    if idempotency_key is None:
        return None
    return session.scalar(select(Job).where(Job.team == team, Job.idempotency_key == idempotency_key))


def _same_request(job: Job, *, spec: JobSpec, request_digest: str | None) -> JobRecord:
    """The job that an idempotency key stands for, if it was the same request."""
    record = job_record(job)
    same = record.spec == spec if request_digest is None else job.request_digest == request_digest
    if not same:
        raise IdempotencyConflict(str(job.idempotency_key), job_id=job.id)
    return record
