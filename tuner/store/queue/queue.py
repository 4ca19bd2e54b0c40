"""The queue: what workers claim from it, and what people see of it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from tuner.jobs.records import LeasedRun, Pace, QueueEntry, SiblingRun, StudyLock, TeamShare, WorkerOffer
from tuner.jobs.spec import JobSpec
from tuner.people.permissions import EVERYTHING, Visibility
from tuner.store.db.database import Repository, Tx, read_clock, reads, writes
from tuner.store.queue.claims import LeaseDurations, claim_next, lock_scheduler, lock_study_beside
from tuner.store.queue.leases import check_lease_seconds
from tuner.store.queue.next_job import ClaimRequest, has_candidate_jobs
from tuner.store.queue.queue_view import read_obstacle, read_paces, read_queue_view, read_shares
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
        """Claim work for a worker: a run to train, or a study to plan.

        The scheduling order: the highest priority class first; in it the team with the least device time for its
        weight, of the team the user with the least, of the user the oldest job. Of that job a run with the worker's
        prefix key is leased first, else the oldest one; its study is planned when no run is ready.

        Args:
            offer: The worker and what it can do. Only jobs qualify whose workload it offers in the same version and
                whose needs its devices meet; for a reserved worker, only its team's. A draining worker gets nothing.
            lease_seconds: How long a lease lasts without a heartbeat, above 0 and at most an hour.
            lock_seconds: How long a study lock lasts, likewise.
            job_id: Claim from this job alone.
            prefix_key: Of the run that the worker trained last, so that it continues where it can share updates.

        Returns:
            A lease, a lock, or ``None`` when there is no work.
        """
        check_lease_seconds("lease_seconds", lease_seconds)
        check_lease_seconds("lock_seconds", lock_seconds)
        # Read first: a worker without work must not hold the scheduler lock that others wait for.
        if not self._has_work(offer, job_id=job_id):
            return None
        durations = LeaseDurations(lease_seconds=lease_seconds, lock_seconds=lock_seconds)
        return self._claim(offer, durations=durations, job_id=job_id, prefix_key=prefix_key)

    @writes
    def lock_study(self, tx: Tx, lease: LeasedRun, *, lock_seconds: float) -> StudyLock | None:
        """Lock the study of a leased run, to plan its next run while this one trains.

        Returns:
            ``None`` where another run of the job is queued, planning is not due or under way, the job has reached a
            limit or is not running, or the worker is draining.

        Raises:
            LeaseLost: The lease is void.
        """
        check_lease_seconds("lock_seconds", lock_seconds)
        return lock_study_beside(tx, lease, seconds=lock_seconds)

    @reads
    def sibling_runs(self, session: Session, lease: LeasedRun) -> tuple[SiblingRun, ...]:
        """The queued runs of the lease's job that may share a prefix with its run, the 64 oldest at most.

        They have its seed and its options.

        Raises:
            NotFound: The job was deleted.
        """
        return read_sibling_runs(session, lease)

    @reads
    def view(self, session: Session, *, visibility: Visibility = EVERYTHING) -> tuple[QueueEntry, ...]:
        """The position of each open job and the reason: in scheduling order, then the jobs that wait for nothing.

        Args:
            visibility: Only these jobs are listed; positions count all jobs.
        """
        return read_queue_view(session, visibility=visibility)

    @reads
    def obstacle(self, session: Session, spec: JobSpec, *, owner: str) -> str | None:
        """Why a job that is submitted now would wait for more than a free worker; ``None`` where nothing is in its way.

        Args:
            spec: The complete request.
            owner: Who would submit it.

        Raises:
            NotFound: No worker has announced the workload.
        """
        return read_obstacle(session, spec, owner=owner)

    @reads
    def shares(self, session: Session) -> tuple[TeamShare, ...]:
        """The device time of each team that exists or has submitted, by name."""
        return read_shares(session)

    @reads
    def paces(self, session: Session, workload: str, version: str) -> tuple[Pace, ...]:
        """The measured pace of a workload by device model; empty where none was measured."""
        return read_paces(session, workload=workload, version=version)

    @reads
    def _has_work(self, session: Session, offer: WorkerOffer, *, job_id: str | None) -> bool:
        return has_candidate_jobs(session, ClaimRequest(offer=offer, now=read_clock(session), job_id=job_id))

    @writes
    def _claim(
        self, tx: Tx, offer: WorkerOffer, *, durations: LeaseDurations, job_id: str | None, prefix_key: str | None
    ) -> LeasedRun | StudyLock | None:
        lock_scheduler(tx)  # before the clock is read: the wait may be long
        request = ClaimRequest(offer=offer, now=tx.now, job_id=job_id, prefix_key=prefix_key)
        return claim_next(tx, request, durations=durations)
