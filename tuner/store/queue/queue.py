"""The queue: what workers claim from it, and what people see of it."""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

from sqlalchemy.orm import Session

from tuner.jobs.records import (
    EVERYTHING,
    LeasedRun,
    Pace,
    QueueEntry,
    SiblingRun,
    StudyLock,
    TeamShare,
    Visibility,
    WorkerOffer,
)
from tuner.store.db.database import Repository, Tx, read_clock, reads, writes
from tuner.store.queue.claims import Terms, claim_next, lock_scheduler, lock_study_beside
from tuner.store.queue.leases import check_positive
from tuner.store.queue.next_job import ClaimRequest, has_candidates
from tuner.store.queue.queue_view import read_paces, read_queue_view, read_shares
from tuner.store.queue.shared_prefixes import read_sibling_runs


class Queue(Repository):
    """Runs that wait for a worker."""

    def claim(
        self,
        offer: WorkerOffer,
        *,
        lease_seconds: float,
        lock_seconds: float,
        job_id: str | None = None,
        prefix_key: str | None = None,
    ) -> LeasedRun | StudyLock | None:
        """Give a worker something to do: a run to train, or a study to plan.

        Whose turn it is: the highest class first; in it the team that has had the least device time for its weight,
        of it the user who has had the least, then the oldest job; of its runs one on the worker's prefix_key, else the
        oldest. Its study is planned when no run of it is ready.

        Args:
            offer: Who asks, and what it can do. Only jobs are looked at whose workload it offers in the very version
                and whose needs its devices meet; where it is reserved, only its team's. Nothing is given to a worker
                that is to drain.
            lease_seconds: How long a lease lasts without a heartbeat, above 0.
            lock_seconds: How long a study lock lasts, above 0.
            job_id: Look at this job alone.
            prefix_key: Of the run that the worker trained last, so that it continues where it can share updates.

        Returns:
            A lease, a lock, or ``None`` when there is nothing to do.
        """
        check_positive("lease_seconds", lease_seconds)
        check_positive("lock_seconds", lock_seconds)
        # A worker that has nothing to do should not keep the others from deciding.
        if not self._has_work(offer, job_id=job_id):
            return None
        terms = Terms(lease_seconds=lease_seconds, lock_seconds=lock_seconds)
        return self._claim(offer, terms=terms, job_id=job_id, prefix_key=prefix_key)

    @writes
    def lock_study(self, tx: Tx, lease: LeasedRun, *, lock_seconds: float) -> StudyLock | None:
        """The lock on the study of a leased run, to plan its next run while this one is being trained.

        Returns:
            ``None`` where a run of the job waits already, planning is not due or under way, the job is to end, or the
            worker is to drain.

        Raises:
            LeaseLost: The lease is no longer held.
        """
        check_positive("lock_seconds", lock_seconds)
        return lock_study_beside(tx, lease, seconds=lock_seconds)

    @reads
    def sibling_runs(self, session: Session, lease: LeasedRun) -> tuple[SiblingRun, ...]:
        """The runs of the lease's job that may begin like its run: those that wait, and those that are likely to come.

        They are those in the queue with the same seed, and, for a run on the search's seed, the higher rungs of the
        trials that are still active, its own included. Of each kind the 64 oldest are looked at.

        Raises:
            NotFound: The job is gone.
        """
        return read_sibling_runs(session, lease)

    @reads
    def _has_work(self, session: Session, offer: WorkerOffer, *, job_id: str | None) -> bool:
        asking = ClaimRequest(offer=offer, now=read_clock(session), job_id=job_id)
        return has_candidates(session, asking)

    @writes
    def _claim(
        self, tx: Tx, offer: WorkerOffer, *, terms: Terms, job_id: str | None, prefix_key: str | None
    ) -> LeasedRun | StudyLock | None:
        lock_scheduler(tx)  # before the clock is read: the wait may be long
        return claim_next(tx, ClaimRequest(offer=offer, now=tx.now, job_id=job_id, prefix_key=prefix_key), terms=terms)

    @reads
    def view(self, session: Session, *, visibility: Visibility = EVERYTHING) -> tuple[QueueEntry, ...]:
        """Where each open job stands, and why: in the order of their turns, then those of which nothing waits.

        Args:
            visibility: Only jobs that may be seen are told of; positions count everybody's.
        """
        return read_queue_view(session, visibility=visibility)

    @reads
    def shares(self, session: Session) -> tuple[TeamShare, ...]:
        """What each team that there is, or that has submitted, has had of the devices; by name."""
        return read_shares(session)

    @reads
    def paces(self, session: Session, workload: str, version: str) -> tuple[Pace, ...]:
        """How fast a workload was measured to train, by model of device; empty when nobody has measured it."""
        return read_paces(session, workload=workload, version=version)
