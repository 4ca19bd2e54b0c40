"""The queue of runs: claims, leases, results.

A claim gives a worker the right to a run until a time, and a token that is fresh for every claim. Every later write
names the token; when the run was freed, taken by another worker or cancelled in between, the token is gone and the
write is refused. So a run's result is recorded once or not at all, whoever comes late.
"""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.orm import Session

from tuner.errors import InvalidValue, LeaseLost, NotFound
from tuner.jobs.records import (
    EVERYTHING,
    CurvePoint,
    LeasedRun,
    LeaseStatus,
    Pace,
    QueueEntry,
    SiblingRun,
    SnapshotRef,
    StudyLock,
    TeamShare,
    Visibility,
    WorkerOffer,
)
from tuner.jobs.states import RunState
from tuner.store.accounting.usage import account, measure
from tuner.store.db.clock import Now, expired
from tuner.store.db.database import Repository, Tx, read_clock, reads, writes
from tuner.store.db.models import Job, Point, Run, Snapshot
from tuner.store.db.rows import finite_or_none, point_row
from tuner.store.db.upsert import upsert
from tuner.store.jobs.job_limits import may_be_past_limits, note_limit, why_stop
from tuner.store.jobs.lifecycle import EventKind, end_run, lock_job, lock_leased, requeue_run, tell_run, unlock
from tuner.store.jobs.run_logs import append
from tuner.store.queue.claims import Terms, claim_next, lock_beside, lock_scheduler
from tuner.store.queue.next_job import ClaimRequest, has_candidates
from tuner.store.queue.preemption import tell_to_stop, victims
from tuner.store.queue.queue_view import read_overview, read_paces, read_shares
from tuner.store.queue.shared_prefixes import read_sibling_runs

_HELD = (
    select(Job, Run)
    .join(Run, Run.job_id == Job.id)
    .where(Run.id == bindparam("run_id"), Run.lease_token == bindparam("token"))
)
MAX_ATTEMPTS = 3
"""How often a run is begun before its failure counts as the workload's."""


@dataclass(frozen=True, kw_only=True)
class Reaped:
    """What became of runs whose leases were taken away."""

    requeued: int
    failed: int
    """Their attempts were used up."""


class Queue(Repository):
    """Runs on their way from the plan to a result."""

    def take(
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
            prefix_key: That of the run which the worker trained last, so that it goes on where it can share updates.

        Returns:
            A lease, a lock, or ``None`` when there is nothing to do.
        """
        _check_positive("lease_seconds", lease_seconds)
        _check_positive("lock_seconds", lock_seconds)
        # A worker that has nothing to do should not keep the others from deciding.
        if not self._has_work(offer, job_id=job_id):
            return None
        terms = Terms(lease_seconds=lease_seconds, lock_seconds=lock_seconds)
        return self._take(offer, terms=terms, job_id=job_id, prefix_key=prefix_key)

    @writes
    def lock_beside(self, tx: Tx, lease: LeasedRun, *, lock_seconds: float) -> StudyLock | None:
        """The lock on the study of a leased run, to plan its next run while this one is being trained.

        Returns:
            ``None`` where a run of the job waits already, planning is not due or under way, the job is to end, or the
            worker is to drain.

        Raises:
            LeaseLost: The lease is no longer held.
        """
        _check_positive("lock_seconds", lock_seconds)
        return lock_beside(tx, lease, seconds=lock_seconds)

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
    def _take(
        self, tx: Tx, offer: WorkerOffer, *, terms: Terms, job_id: str | None, prefix_key: str | None
    ) -> LeasedRun | StudyLock | None:
        lock_scheduler(tx)  # before the clock is read: the wait may be long
        return claim_next(tx, ClaimRequest(offer=offer, now=tx.now, job_id=job_id, prefix_key=prefix_key), terms=terms)

    @writes
    def heartbeat(
        self,
        tx: Tx,
        lease: LeasedRun,
        *,
        points: Sequence[CurvePoint] = (),
        updates: int = 0,
        lease_seconds: float,
    ) -> LeaseStatus:
        """Store evaluations, count the device time and extend the lease.

        Args:
            lease: The claim.
            points: Evaluations since the last heartbeat. One at a step that is there already, from an earlier attempt,
                overwrites it. A NaN among the losses stays NaN (``train_loss`` becomes ``None``).
            updates: Updates executed since the last report, at least 0.
            lease_seconds: How long the lease lasts from now, above 0.

        Returns:
            When the lease expires, and whether the run has to stop: its job was paused or has reached a limit, or
            something more urgent needs the device.

        Raises:
            LeaseLost: The lease is no longer held; nothing was stored.
        """
        _check_positive("lease_seconds", lease_seconds)
        job, run = lock_leased(tx, lease)
        run.lease_expires_at = expires_at = tx.now + lease_seconds
        _count(tx, job, run, updates=updates)
        upsert(tx.session, Point, rows=[point_row(point, run_id=run.id) for point in points])
        for point in points:
            run.step = _checked_step(point.step, run=run)
            tell_run(
                tx,
                EventKind.RUN_EVALUATED,
                run,
                step=point.step,
                total_steps=run.total_steps,
                lr=finite_or_none(point.lr),
                train_loss=finite_or_none(point.train_loss),
                val_loss=finite_or_none(point.val_loss),
            )
        return LeaseStatus(expires_at=expires_at, stop=why_stop(job, run))

    @reads
    def look(self, session: Session, lease: LeasedRun) -> str | None:
        """Why a run should stop, as `heartbeat` tells it, and without its writing: a run's device waits for this alone.

        Raises:
            LeaseLost: The lease is no longer held.
        """
        found = session.execute(_HELD, {"run_id": lease.run_id, "token": lease.token}).one_or_none()
        if found is None:
            raise LeaseLost(lease.run_id)
        return why_stop(*found)

    @writes
    def save_snapshot(self, tx: Tx, lease: LeasedRun, snapshot: SnapshotRef, *, updates: int = 0) -> None:
        """Remember where the run can be taken up again; an earlier snapshot is forgotten.

        Args:
            lease: The claim.
            snapshot: Where the run stands.
            updates: Updates executed since the last report, at least 0. They count with the snapshot or not at all: who
                takes the run up from it does not execute them again.

        Raises:
            LeaseLost: The lease is no longer held; nothing was stored.
        """
        job, run = lock_leased(tx, lease)
        _count(tx, job, run, updates=updates)
        step = _checked_step(snapshot.step, run=run)
        upsert(tx.session, Snapshot, rows=[{"run_id": run.id, "step": step, "path": snapshot.path, "saved_at": tx.now}])

    @writes
    def append_log(self, tx: Tx, lease: LeasedRun, text: str) -> None:
        """Keep what the run's code printed: its beginning and its end, 256 KiB for all attempts together.

        Args:
            lease: The claim.
            text: Of any origin; what no database can store is escaped. Empty text is not stored.

        Raises:
            LeaseLost: The lease is no longer held; nothing was stored.
        """
        append(tx, lease, text=text)

    @writes
    def finish(
        self,
        tx: Tx,
        lease: LeasedRun,
        *,
        loss: float | None,
        step: int,
        updates: int,
        shared_updates: int = 0,
        reason: str = "",
    ) -> None:
        """Record the result of a run, once.

        Args:
            lease: The claim.
            loss: Validation loss at the end, finite; ``None`` when the run diverged.
            step: Updates done from the start of the schedule.
            updates: Updates executed since the last report, at least 0.
            shared_updates: Updates of the ``step`` that were never executed for it, because another run had made them.
            reason: How it diverged.

        Raises:
            LeaseLost: The lease is no longer held; nothing was recorded.
            InvalidValue: The loss is NaN or infinite: that is a diverged run. Or the shared updates are not in
                [0, step].
        """
        if loss is not None and not math.isfinite(loss):
            raise InvalidValue("loss", value=loss, allowed="finite, or None for a run that diverged")
        job, run = lock_leased(tx, lease)
        _count(tx, job, run, updates=updates)
        run.step = _checked_step(step, run=run)
        if not 0 <= shared_updates <= step:
            raise InvalidValue("shared_updates", value=shared_updates, allowed=f"in [0, {step}]")
        run.shared_updates = shared_updates
        job.updates_saved += shared_updates
        state = RunState.DIVERGED if loss is None else RunState.SUCCEEDED
        measure(tx, job, run)
        end_run(tx, job, run, state=state, loss=loss, error=reason if loss is None else None)

    @writes
    def fail(self, tx: Tx, lease: LeasedRun, *, reason: str, retry: bool, updates: int = 0) -> None:
        """Report that a run did not come to a result.

        Args:
            lease: The claim.
            reason: What happened; a traceback is welcome.
            retry: Whether another attempt may do better. The run then goes back to the queue, with its snapshot, unless
                its attempts are used up.
            updates: Updates executed since the last report, at least 0.

        Raises:
            LeaseLost: The lease is no longer held; nothing was recorded.
        """
        job, run = lock_leased(tx, lease)
        _count(tx, job, run, updates=updates)
        if retry:
            _requeue_or_fail(tx, job, run, reason=reason)
        else:
            end_run(tx, job, run, state=RunState.FAILED, error=reason or "no reason was given")

    @writes
    def release(self, tx: Tx, lease: LeasedRun, *, updates: int = 0) -> None:
        """Give a run back, as a worker does that stops in good order; the attempt is not counted.

        Raises:
            LeaseLost: The lease is no longer held.
        """
        job, run = lock_leased(tx, lease)
        _count(tx, job, run, updates=updates)
        run.attempts -= 1
        requeue_run(tx, run, reason=f"worker {run.worker} gave it back")

    def release_worker(self, worker: str) -> int:
        """Free at once what an earlier process of this worker's name held: its runs' leases and its study locks.

        Called by a worker when it starts. The attempts count, as when a lease expires.

        Returns:
            How many runs were freed.
        """
        self._unlock_studies(worker)
        freed = self._free(Run.worker == worker, reason=f"worker {worker} started anew")
        return freed.requeued + freed.failed

    def reap(self) -> Reaped:
        """Free the runs whose leases have expired: back to the queue, or failed when their attempts are used up."""
        return self._free(expired(Run.lease_expires_at, now=Now()), reason="its lease expired")

    def enforce_limits(self) -> int:
        """Mark the running jobs that have used up their device or wall hours; the next planning ends them.

        Heartbeats see to it too; this does for jobs of which nothing is being trained.

        Returns:
            How many were marked.
        """
        return sum(self._note_limit(job_id) for job_id in self._jobs_past_limits())

    def preempt(self) -> int:
        """Have runs of lower classes stop where jobs of the highest class wait and no idle worker can take them.

        A run that is told to stop ends at its next evaluation, with a snapshot, and goes back into the queue; the
        attempt does not count.

        Returns:
            How many were told to stop.
        """
        return self._preempt() if self._somebody_must_stop() else 0

    @reads
    def overview(self, session: Session, *, visibility: Visibility = EVERYTHING) -> tuple[QueueEntry, ...]:
        """Where each open job stands, and why: in the order of their turns, then those of which nothing waits.

        Args:
            visibility: Only jobs that may be seen are told of; positions count everybody's.
        """
        return read_overview(session, visibility=visibility)

    @reads
    def shares(self, session: Session) -> tuple[TeamShare, ...]:
        """What each team that there is, or that has submitted, has had of the devices; by name."""
        return read_shares(session)

    @reads
    def paces(self, session: Session, workload: str, version: str) -> tuple[Pace, ...]:
        """How fast a workload was measured to train, by model of device; empty when nobody has measured it."""
        return read_paces(session, workload=workload, version=version)

    @reads
    def _jobs_past_limits(self, session: Session) -> Sequence[str]:
        return session.scalars(select(Job.id).where(may_be_past_limits(read_clock(session))).order_by(Job.seq)).all()

    @writes
    def _note_limit(self, tx: Tx, job_id: str) -> bool:
        job = tx.session.scalar(select(Job).where(Job.id == job_id).with_for_update(key_share=True))
        return job is not None and note_limit(tx, job)

    @reads
    def _somebody_must_stop(self, session: Session) -> bool:
        return bool(victims(session, now=read_clock(session)))

    @writes
    def _preempt(self, tx: Tx) -> int:
        lock_scheduler(tx)
        return sum(tell_to_stop(tx, victim) for victim in victims(tx.session, now=tx.now))

    def _free(self, which: ColumnElement[bool], *, reason: str) -> Reaped:
        requeued = failed = 0
        # A transaction per job: its row is locked first, like everywhere.
        for job_id in self._jobs_to_free(which):
            of_job = self._free_in_job(job_id, which=which, reason=reason)
            requeued += of_job.requeued
            failed += of_job.failed
        return Reaped(requeued=requeued, failed=failed)

    @reads
    def _jobs_to_free(self, session: Session, which: ColumnElement[bool]) -> Sequence[str]:
        leased = select(Run.job_id).where(Run.state == RunState.LEASED, which)
        return session.scalars(leased.distinct().order_by(Run.job_id)).all()

    @writes
    def _free_in_job(self, tx: Tx, job_id: str, *, which: ColumnElement[bool], reason: str) -> Reaped:
        try:
            job = lock_job(tx, job_id)
        except NotFound:  # cancelled and deleted since it was looked up
            return Reaped(requeued=0, failed=0)
        leased = select(Run).where(Run.job_id == job_id, Run.state == RunState.LEASED, which).order_by(Run.seq)
        requeued = failed = 0
        for run in tx.session.scalars(leased.with_for_update(key_share=True)).all():
            account(tx, job, run, silent=True)
            if _requeue_or_fail(tx, job, run, reason=f"{reason} (worker {run.worker}, update {run.step})"):
                requeued += 1
            else:
                failed += 1
        return Reaped(requeued=requeued, failed=failed)

    @writes
    def _unlock_studies(self, tx: Tx, worker: str) -> None:
        locked = select(Job).where(Job.lock_owner == worker).order_by(Job.seq).with_for_update(key_share=True)
        for job in tx.session.scalars(locked):
            unlock(job)
            job.plan_due = True


def _count(tx: Tx, job: Job, run: Run, *, updates: int) -> None:
    """Count what was taken and done since the last report, and see whether the job may go on."""
    account(tx, job, run, updates=updates)
    note_limit(tx, job)


def _requeue_or_fail(tx: Tx, job: Job, run: Run, *, reason: str) -> bool:
    """Put a run back into the queue, or fail it when its attempts are used up; tell whether it is back."""
    job.plan_due = True
    if run.attempts < MAX_ATTEMPTS:
        requeue_run(tx, run, reason=reason)
        return True
    end_run(tx, job, run, state=RunState.FAILED, error=f"given up after {run.attempts} attempts: {reason}")
    return False


def _checked_step(step: int, *, run: Run) -> int:
    if not 0 <= step <= run.total_steps:
        raise InvalidValue("step", value=step, allowed=f"in [0, {run.total_steps}]")
    return step


def _check_positive(field: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InvalidValue(field, value=value, allowed="finite and above 0")
