"""Leases: what a worker may write about a run, and when its lease is void.

A claim gives a worker the right to a run until a time, and a token that is fresh for every claim. Every later write
names the token; when the run was freed, taken by another worker or cancelled in between, the token is gone and the
write is refused. So a run's result is recorded once or not at all, whoever comes late.
"""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

import math
from collections.abc import Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from tuner.errors import InvalidValue, LeaseLost
from tuner.jobs.records import CurvePoint, LeasedRun, LeaseStatus, SnapshotRef
from tuner.jobs.states import RunState
from tuner.store.accounting.usage import account, measure
from tuner.store.db.database import Repository, Tx, reads, writes
from tuner.store.db.models import Job, Point, Run, Snapshot
from tuner.store.db.rows import finite_or_none, point_row
from tuner.store.db.upsert import upsert
from tuner.store.jobs.job_limits import note_limit, why_stop
from tuner.store.jobs.lifecycle import EventKind, end_run, requeue_run, tell_run
from tuner.store.jobs.run_logs import append

_HELD = (
    select(Job, Run)
    .join(Run, Run.job_id == Job.id)
    .where(Run.id == bindparam("run_id"), Run.lease_token == bindparam("token"))
)
MAX_ATTEMPTS = 3
"""How often a run is begun before its failure counts as the workload's."""


class Leases(Repository):
    """What workers write about the runs that they hold."""

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
        check_positive("lease_seconds", lease_seconds)
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
    def check(self, session: Session, lease: LeasedRun) -> str | None:
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
            requeue_or_fail(tx, job, run, reason=reason)
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


def lock_leased(tx: Tx, lease: LeasedRun) -> tuple[Job, Run]:
    """The rows of a lease's job and run, held until the transaction ends.

    Raises:
        LeaseLost: The token is not that of the run's present lease. An expired lease still holds while nobody has
            freed the run: its result is as good as ever.
    """
    job = tx.session.scalar(select(Job).where(Job.id == lease.job_id).with_for_update(key_share=True))
    held = select(Run).where(Run.id == lease.run_id, Run.lease_token == lease.token)
    run = tx.session.scalar(held.with_for_update(key_share=True))
    if job is None or run is None:
        raise LeaseLost(lease.run_id)
    return job, run


def _count(tx: Tx, job: Job, run: Run, *, updates: int) -> None:
    """Count what was taken and done since the last report, and see whether the job may go on."""
    account(tx, job, run, updates=updates)
    note_limit(tx, job)


def requeue_or_fail(tx: Tx, job: Job, run: Run, *, reason: str) -> bool:
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


def check_positive(field: str, value: float) -> None:
    """Refuse a duration that is not finite and above 0."""
    if not (math.isfinite(value) and value > 0):
        raise InvalidValue(field, value=value, allowed="finite and above 0")
