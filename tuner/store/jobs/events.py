"""The events of jobs, in order, for clients that follow a job."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from tuner.errors import InvalidValue
from tuner.jobs.records import EventRecord
from tuner.people.permissions import EVERYTHING, Visibility
from tuner.store.db.database import Repository, Tx, reads, writes
from tuner.store.db.models import Event, Job
from tuner.store.db.rows import event_record
from tuner.store.jobs.visibility import visible_jobs

MAX_EVENTS = 1_000
PRUNED_AT_A_TIME = 5_000
"""Events deleted in one transaction, which keeps it short."""
_GREATEST_ID = 2**63 - 1


class EventKind(StrEnum):
    """The kinds of events. Members are stored and sent: they may be added, never removed."""

    JOB_SUBMITTED = "job.submitted"
    JOB_STARTED = "job.started"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_PAUSED = "job.paused"
    JOB_RESUMED = "job.resumed"
    JOB_CHANGED = "job.changed"
    JOB_RETRIED = "job.retried"
    JOB_LIMIT_REACHED = "job.limit_reached"
    TRIAL_STARTED = "trial.started"
    TRIAL_PRUNED = "trial.pruned"
    TRIAL_COMPLETED = "trial.completed"
    TRIAL_FAILED = "trial.failed"
    RUN_QUEUED = "run.queued"
    RUN_STARTED = "run.started"
    RUN_EVALUATED = "run.evaluated"
    RUN_SUCCEEDED = "run.succeeded"
    RUN_DIVERGED = "run.diverged"
    RUN_STOPPED = "run.stopped"
    RUN_FAILED = "run.failed"
    RUN_REQUEUED = "run.requeued"
    RUN_STOPPING = "run.stopping"


class Events(Repository):
    """The events of all jobs. An event is written in the same transaction as the change."""

    @reads
    def after(
        self,
        session: Session,
        event_id: int,
        *,
        job_id: str | None = None,
        visibility: Visibility = EVERYTHING,
        limit: int = 200,
    ) -> tuple[EventRecord, ...]:
        """The next events after one, in the order of their ids.

        A client that passes the last id it received misses no event and receives none twice.

        Args:
            event_id: The last one received; 0 for the first page.
            job_id: Only this job's; every job's when absent.
            visibility: Only events of these jobs.
            limit: How many at most, 1 to 1,000.

        Raises:
            InvalidValue: The limit is out of range.
        """
        if not 1 <= limit <= MAX_EVENTS:
            raise InvalidValue("limit", value=limit, allowed=f"in [1, {MAX_EVENTS}]")
        query = select(Event).where(Event.id > min(event_id, _GREATEST_ID)).order_by(Event.id).limit(limit)
        if job_id is not None:
            query = query.where(Event.job_id == job_id)
        if visibility.teams is not None:
            query = query.join(Job, Job.id == Event.job_id).where(visible_jobs(visibility))
        return tuple(event_record(event) for event in session.scalars(query))

    @reads
    def latest(self, session: Session) -> int:
        """Id of the latest event of all jobs; 0 when there is none."""
        return latest_event_id(session)

    def prune(self, older_than_seconds: float) -> int:
        """Delete the events older than so many seconds; a client that resumes from an earlier event misses them.

        Returns:
            How many were deleted.
        """
        pruned = 0
        while True:
            deleted = self._prune_some(older_than_seconds)
            pruned += deleted
            if deleted < PRUNED_AT_A_TIME:
                return pruned

    @writes
    def _prune_some(self, tx: Tx, older_than_seconds: float) -> int:
        # The oldest have the smallest ids, so the primary key finds them without a scan.
        oldest = select(Event.id, Event.at).order_by(Event.id).limit(PRUNED_AT_A_TIME)
        old = [row.id for row in tx.session.execute(oldest) if row.at < tx.now - older_than_seconds]
        if old:
            tx.session.execute(delete(Event).where(Event.id <= old[-1], Event.at < tx.now - older_than_seconds))
        return len(old)


def latest_event_id(session: Session) -> int:
    """Id of the latest event; 0 when there is none."""
    return session.scalar(select(func.max(Event.id))) or 0
