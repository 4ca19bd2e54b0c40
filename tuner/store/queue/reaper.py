"""The duties of the service's reaper: free runs with expired leases, enforce limits, preempt runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from tuner.jobs.attempts import LOST_ATTEMPTS, AttemptEnd
from tuner.jobs.states import RunState
from tuner.store.accounting.usage import record_usage
from tuner.store.db.clock import Now, expired, in_future
from tuner.store.db.database import Repository, Tx, read_clock, reads, writes
from tuner.store.db.models import Job, Run
from tuner.store.jobs.job_limits import mark_limit, past_limits
from tuner.store.jobs.transitions import requeue_or_fail, unlock_study
from tuner.store.queue.claims import lock_scheduler
from tuner.store.queue.preemption import find_victims, request_stop


@dataclass(frozen=True, kw_only=True)
class Reaped:
    """How many runs were freed."""

    requeued: int
    failed: int
    """They have lost too many attempts in a row."""


class Reaper(Repository):
    """Frees and stops runs without their workers."""

    def free_worker(self, worker: str, *, lost_limit: int = LOST_ATTEMPTS) -> int:
        """Free the runs and study locks that an earlier process with this worker's name held.

        A worker calls it when it starts. The attempts are lost, as when a lease expires.

        Args:
            worker: Its name.
            lost_limit: As in `reap`.

        Returns:
            How many runs were freed.
        """
        self._unlock_studies(worker)
        held, reason = Run.worker == worker, f"worker {worker} started anew"
        # All that is free at once, then the rest: this happens once per start, and nothing must be left.
        freed = [self._free(held, reason=reason, lost_limit=lost_limit, wait=wait) for wait in (False, True)]
        return sum(part.requeued + part.failed for part in freed)

    def reap(self, *, lost_limit: int = LOST_ATTEMPTS) -> Reaped:
        """Free the runs with expired leases, whose attempts are lost: they return to the queue, with their snapshots.

        A lease that was extended in the future, or lasts longer than any lease, has expired as well: the clock of its
        worker was ahead. What another transaction has locked is left to the next call: that may be one of a process
        which was stopped in it, and the other leases are freed in time.

        Args:
            lost_limit: Attempts in a row that a run may lose while no snapshot of it moves on; the last one fails it.
        """
        over = or_(expired(Run.lease_expires_at, now=Now()), in_future(Run.accounted_at, now=Now()))
        return self._free(over, reason="its lease expired", lost_limit=lost_limit, wait=False)

    def enforce_limits(self) -> int:
        """Mark the running jobs that have used up their device or wall hours; the next planning ends them.

        Heartbeats do the same; this covers the jobs of which no run is leased.

        Returns:
            How many were marked.
        """
        return sum(self._mark_limit(job_id) for job_id in self._jobs_past_limits())

    def preempt(self) -> int:
        """Stop runs of lower classes where jobs of the highest class wait and no idle worker can take them.

        A preempted run stops at its next evaluation, with a snapshot, and returns to the queue; the attempt does not
        count.

        Returns:
            How many runs were requested to stop.
        """
        return self._preempt() if self._has_victims() else 0

    @reads
    def _jobs_past_limits(self, session: Session) -> Sequence[str]:
        return session.scalars(select(Job.id).where(past_limits(read_clock(session))).order_by(Job.seq)).all()

    @writes
    def _mark_limit(self, tx: Tx, job_id: str) -> bool:
        wanted = select(Job).where(Job.id == job_id)
        job = tx.session.scalar(wanted.with_for_update(key_share=True, skip_locked=True))  # else the next time
        return job is not None and mark_limit(tx, job)

    @reads
    def _has_victims(self, session: Session) -> bool:
        return bool(find_victims(session, now=read_clock(session)))

    @writes
    def _preempt(self, tx: Tx) -> int:
        lock_scheduler(tx)
        return sum(request_stop(tx, victim) for victim in find_victims(tx.session, now=tx.now))

    def _free(self, which: ColumnElement[bool], *, reason: str, lost_limit: int, wait: bool) -> Reaped:
        requeued = failed = 0
        # One transaction per job: the job's row is locked first, as everywhere.
        for job_id in self._jobs_to_free(which):
            of_job = self._free_in_job(job_id, which=which, reason=reason, lost_limit=lost_limit, wait=wait)
            requeued += of_job.requeued
            failed += of_job.failed
        return Reaped(requeued=requeued, failed=failed)

    @reads
    def _jobs_to_free(self, session: Session, which: ColumnElement[bool]) -> Sequence[str]:
        leased = select(Run.job_id).where(Run.state == RunState.LEASED, which)
        return session.scalars(leased.distinct().order_by(Run.job_id)).all()

    @writes
    def _free_in_job(
        self, tx: Tx, job_id: str, *, which: ColumnElement[bool], reason: str, lost_limit: int, wait: bool
    ) -> Reaped:
        wanted = select(Job).where(Job.id == job_id)
        job = tx.session.scalar(wanted.with_for_update(key_share=True, skip_locked=not wait))
        if job is None:  # locked, or deleted since it was read
            return Reaped(requeued=0, failed=0)
        leased = select(Run).where(Run.job_id == job_id, Run.state == RunState.LEASED, which).order_by(Run.seq)
        leased = leased.with_for_update(key_share=True, skip_locked=not wait)
        requeued = failed = 0
        for run in tx.session.scalars(leased).all():
            record_usage(tx, job, run, silent=True)
            what = f"{reason} (worker {run.worker}, update {run.step})"
            if requeue_or_fail(tx, job, run, end=AttemptEnd.LOST, reason=what, lost_limit=lost_limit):
                requeued += 1
            else:
                failed += 1
        return Reaped(requeued=requeued, failed=failed)

    @writes
    def _unlock_studies(self, tx: Tx, worker: str) -> None:
        locked = select(Job).where(Job.lock_owner == worker).order_by(Job.seq).with_for_update(key_share=True)
        for job in tx.session.scalars(locked):
            unlock_study(job)
            job.plan_due = True
