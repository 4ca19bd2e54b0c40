"""Job operations: submit, read, change, pause, resume, cancel, retry, delete."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from tuner.errors import IdempotencyConflict, InvalidValue, LimitReached, NotFound, TunerError
from tuner.jobs.admission.change import JobChange
from tuner.jobs.progress import JobOverview, JobSort, JobStatus
from tuner.jobs.records import JobRecord
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState
from tuner.people.permissions import EVERYTHING, LOCAL_ACTOR, Actor, Visibility
from tuner.store.accounting.team_quotas import check_open_job, check_priority, lock_team_settings, read_team_settings
from tuner.store.db.database import Repository, Tx, reads, writes
from tuner.store.db.models import Account, Job, Report
from tuner.store.db.pages import Page, read_page
from tuner.store.db.rows import as_json, job_record, workload_info
from tuner.store.db.upsert import insert_if_absent
from tuner.store.jobs import workers
from tuner.store.jobs.events import EventKind
from tuner.store.jobs.job_changes import change_job, delete_job, pause_job, resume_job, retry_job
from tuner.store.jobs.job_filter import matches_filter
from tuner.store.jobs.job_status import read_overviews, read_status
from tuner.store.jobs.transitions import end_job, find_job, lock_job, read_team
from tuner.store.jobs.visibility import visible_jobs

MAX_KEY_LENGTH = 200
_LARGEST: Final[Mapping[JobSort, ColumnElement[float]]] = {
    JobSort.COST: Job.device_seconds.expression,
    JobSort.FINISHED: func.coalesce(Job.finished_at, 0.0),
}


class Jobs(Repository):
    """The jobs of all teams. Every operation of a user is written to the audit log, in the same transaction."""

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
        """Store a job; planning is due.

        Args:
            spec: The complete request, with ``search.space``.
            by: The user who submits and will own the job.
            idempotency_key: Repeating a key and request of a team returns the same job.
            request_digest: Identifies the request beside the key
                (`tuner.jobs.admission.strict_json.request_digest`); when absent, ``spec`` itself.
            origin: Id of the job that this one was cloned from.

        Raises:
            InvalidValue: The space is missing, an option is not JSON with finite numbers, the key is longer than 200
                characters, or the priority is above what the team may use.
            NotFound: No worker has announced the workload, or teams exist and this is none of them.
            LimitReached: The team or the user has too many open jobs, or has used up the month's device hours.
            IdempotencyConflict: The key was used for another request.
        """
        if spec.search.space is None:
            raise InvalidValue("search.space", value=None, allowed="given once a job is stored")
        if idempotency_key is not None and not 1 <= len(idempotency_key) <= MAX_KEY_LENGTH:
            allowed = f"1 to {MAX_KEY_LENGTH} characters long"
            raise InvalidValue("idempotency_key", value=idempotency_key, allowed=allowed)
        as_json(spec.options, field="options")
        settings = lock_team_settings(tx, spec.team)
        earlier = _find_by_key(tx.session, spec.team, idempotency_key=idempotency_key)
        if earlier is not None:
            return _same_request(earlier, spec=spec, request_digest=request_digest)
        check_priority(settings, spec.priority)
        check_open_job(tx.session, settings, team=spec.team, owner=by.user)
        row = _new_row(tx, spec, by=by)
        row |= {"idempotency_key": idempotency_key, "request_digest": request_digest, "origin": origin}
        insert_if_absent(tx.session, Account, row={"team": spec.team, "owner": by.user}, key=("team", "owner"))
        if not insert_if_absent(tx.session, Job, row=row, key=("team", "idempotency_key")):
            # Without teams no row is locked above, and the same request may have been stored in between.
            earlier = _find_by_key(tx.session, spec.team, idempotency_key=idempotency_key)
            if earlier is None:
                raise RuntimeError(f"job with idempotency key {idempotency_key!r} exists and cannot be read")
            return _same_request(earlier, spec=spec, request_digest=request_digest)
        job_id = row["id"]
        tx.audit(by, "job.submit", target=job_id, team=spec.team, name=spec.name, origin=origin)
        tx.emit(EventKind.JOB_SUBMITTED, job_id=job_id, name=spec.name, workload=spec.workload, team=spec.team)
        return job_record(find_job(tx.session, job_id))

    @reads
    def submission_errors(self, session: Session, spec: JobSpec, *, by: Actor = LOCAL_ACTOR) -> tuple[TunerError, ...]:
        """The errors of team, priority and limits that `submit` would raise now. It does not wait for writers.

        Args:
            spec: The complete request.
            by: The user who would submit it.
        """
        try:
            settings = read_team_settings(session, spec.team)
        except NotFound as unknown:
            return (unknown,)
        errors: list[TunerError] = []
        try:
            check_priority(settings, spec.priority)
        except InvalidValue as refused:
            errors.append(refused)
        try:
            check_open_job(session, settings, team=spec.team, owner=by.user)
        except LimitReached as reached:
            errors.append(reached)
        return tuple(errors)

    @reads
    def find_repeated(
        self, session: Session, team: str, *, idempotency_key: str, request_digest: str
    ) -> JobRecord | None:
        """The job of an earlier, identical request; ``None`` if there is none.

        Called before the request is validated: a repeated request returns its job even if defaults or workloads have
        changed since.

        Args:
            team: Of the request.
            idempotency_key: Of the request.
            request_digest: Identifies the request (`tuner.jobs.admission.strict_json.request_digest`).

        Raises:
            IdempotencyConflict: The key was used for another request.
        """
        job = _find_by_key(session, team, idempotency_key=idempotency_key)
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
    def status(self, session: Session, job_id: str) -> JobStatus:
        """One job, with its progress.

        Raises:
            NotFound: There is no such job.
        """
        return read_status(session, find_job(session, job_id))

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
        sort: JobSort = JobSort.NEWEST,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[JobRecord]:
        """Jobs, in the order of ``sort``.

        Args:
            visibility: Only these jobs.
            states: Only jobs in these states; all when absent.
            team: Only this team's.
            workload: Only of this workload.
            owner: Only this user's.
            text: Only with this in the name, the notes or the workload (case-insensitive), or at the start of the id.
            sort: Their order.
            cursor: ``next_cursor`` of the previous page; the first page when absent.
            limit: Jobs on the page, 1 to 500.

        Raises:
            InvalidValue: The limit is out of range, or the cursor is invalid.
        """
        matching = matches_filter(states=states, team=team, workload=workload, owner=owner, text=text)
        query = select(Job).where(visible_jobs(visibility), matching)
        return read_page(
            session,
            query,
            key=Job.seq,
            record=job_record,
            cursor=cursor,
            limit=limit,
            newest_first=sort is not JobSort.OLDEST,
            largest=_LARGEST.get(sort),
        )

    @reads
    def overviews(self, session: Session, job_ids: Collection[str]) -> tuple[JobOverview, ...]:
        """Jobs with their progress and results so far, in the order of the ids; a deleted one is left out."""
        return read_overviews(session, job_ids)

    @writes
    def change(self, tx: Tx, job_id: str, change: JobChange, *, by: Actor = LOCAL_ACTOR) -> JobRecord:
        """Change the fields that are set, and leave the rest.

        A planner of the job loses the study lock, because its plan is based on the old request. The job continues if a
        limit that it had reached is raised.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: The job has completed, and the change is not limited to name, notes and sharing.
            InvalidValue: The priority is above what the team may use, ``trials`` is below the existing trials, or
                ``budget`` is below what the planned runs take.
        """
        # The team is locked before the job, as everywhere.
        settings = (
            lock_team_settings(tx, read_team(tx.session, job_id)) if "priority" in change.model_fields_set else None
        )
        job = lock_job(tx, job_id)
        change_job(tx, job, change=change, settings=settings)
        tx.audit(by, "job.change", target=job.id, team=job.team, **change.set_fields)
        return job_record(job)

    @writes
    def pause(self, tx: Tx, job_id: str, *, by: Actor = LOCAL_ACTOR) -> JobRecord:
        """Pause a job: nothing of it is planned or leased, and its runs stop at their next evaluation.

        A paused job is left unchanged.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: The job has ended.
        """
        job = lock_job(tx, job_id)
        if job.state is not JobState.PAUSED:
            pause_job(tx, job)
            tx.audit(by, "job.pause", target=job.id, team=job.team)
        return job_record(job)

    @writes
    def resume(self, tx: Tx, job_id: str, *, by: Actor = LOCAL_ACTOR) -> JobRecord:
        """Resume a paused job; planning is due. An open job that is not paused is left unchanged.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: The job has ended.
        """
        job = lock_job(tx, job_id)
        if job.state not in (JobState.QUEUED, JobState.RUNNING):
            resume_job(tx, job)
            tx.audit(by, "job.resume", target=job.id, team=job.team)
        return job_record(job)

    @writes
    def retry(self, tx: Tx, job_id: str, *, by: Actor = LOCAL_ACTOR) -> JobRecord:
        """Retry a job that failed or was cancelled, from where it stopped.

        Its failed and cancelled trials become active again, and their runs train from the start, with all attempts.
        Results are kept. The wall time of its limits counts from now.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: The job has neither failed nor been cancelled.
            LimitReached: The team or the user has too many open jobs, or has used up the month's device hours.
        """
        settings = lock_team_settings(tx, read_team(tx.session, job_id))
        job = lock_job(tx, job_id)
        retry_job(tx, job, check_limits=lambda: check_open_job(tx.session, settings, team=job.team, owner=job.owner))
        tx.audit(by, "job.retry", target=job.id, team=job.team)
        return job_record(job)

    @writes
    def cancel(self, tx: Tx, job_id: str, *, reason: str, by: Actor = LOCAL_ACTOR) -> JobRecord:
        """Cancel a job with its open runs and trials; the leases of its runs become void.

        A cancelled job is left unchanged.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: The job has completed or failed.
        """
        job = lock_job(tx, job_id)
        if job.state is not JobState.CANCELLED:
            end_job(tx, job, state=JobState.CANCELLED, reason=reason)
            tx.audit(by, "job.cancel", target=job.id, team=job.team, reason=reason)
        return job_record(job)

    @writes
    def delete(self, tx: Tx, job_id: str, *, by: Actor = LOCAL_ACTOR) -> None:
        """Delete an ended job with its trials, runs, curves, logs, events and report.

        Its device time stays counted, and its entries stay in the audit log. `Store.delete_study` deletes its Optuna
        study.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: The job has not ended.
        """
        job = lock_job(tx, job_id)
        delete_job(tx, job)
        tx.audit(by, "job.delete", target=job.id, team=job.team, name=job.name)

    @reads
    def report(self, session: Session, job_id: str) -> dict[str, Any] | None:
        """A completed job's report; ``None`` before.

        Raises:
            NotFound: There is no such job.
        """
        find_job(session, job_id)
        return session.scalar(select(Report.report).where(Report.job_id == job_id))


def _new_row(tx: Tx, spec: JobSpec, *, by: Actor) -> dict[str, Any]:
    workload = workers.find_workload(tx.session, spec.workload)
    return {
        "id": str(uuid.uuid4()),
        "state": JobState.QUEUED,
        "team": spec.team,
        "owner": by.user,
        "shared": spec.shared,
        "name": spec.name,
        "priority": spec.priority.rank,
        "workload": spec.workload,
        "workload_version": workload.version,
        "metric": workload_info(workload).metric.model_dump(),
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


def _find_by_key(session: Session, team: str, *, idempotency_key: str | None) -> Job | None:
    """The job of a team's idempotency key."""
    if idempotency_key is None:
        return None
    return session.scalar(select(Job).where(Job.team == team, Job.idempotency_key == idempotency_key))


def _same_request(job: Job, *, spec: JobSpec, request_digest: str | None) -> JobRecord:
    """The job of a repeated request; refuses another request under the same key."""
    record = job_record(job)
    same = record.spec == spec if request_digest is None else job.request_digest == request_digest
    if not same:
        raise IdempotencyConflict(str(job.idempotency_key), job_id=job.id)
    return record
