"""What happened, in order, for those who follow a job."""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from tuner.errors import InvalidValue
from tuner.jobs.records import EVERYTHING, EventRecord, Visibility
from tuner.store.db.database import Repository, Tx, reads, writes
from tuner.store.db.models import Event, Job
from tuner.store.db.rows import event_record
from tuner.store.jobs.job_list import visible

MAX_EVENTS = 1_000
PRUNED_AT_A_TIME = 5_000
"""Events deleted in one transaction, so that none is long."""
_GREATEST_ID = 2**63 - 1


class Events(Repository):
    """The events of all jobs. They are written with the changes that they tell, in the same transaction."""

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

        Whoever asks again with the last id that he got misses none and gets none twice.

        Args:
            event_id: The last one seen; 0 for the beginning.
            job_id: Only this job's; every job's when absent.
            visibility: Only those of jobs that whoever asks may see.
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
            query = query.join(Job, Job.id == Event.job_id).where(visible(visibility))
        return tuple(event_record(event) for event in session.scalars(query))

    @reads
    def latest(self, session: Session) -> int:
        """Id of the last event so far, whosever job it tells of; 0 when there is none."""
        return session.scalar(select(func.max(Event.id))) or 0

    def prune(self, older_than_seconds: float) -> int:
        """Delete the events that are older than so many seconds; whoever follows from before then misses them.

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
        # The oldest are those with the smallest ids: nothing else needs to be looked at.
        oldest = select(Event.id, Event.at).order_by(Event.id).limit(PRUNED_AT_A_TIME)
        old = [row.id for row in tx.session.execute(oldest) if row.at < tx.now - older_than_seconds]
        if old:
            tx.session.execute(delete(Event).where(Event.id <= old[-1], Event.at < tx.now - older_than_seconds))
        return len(old)
