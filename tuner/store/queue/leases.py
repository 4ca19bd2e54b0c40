"""Leases: what a worker may write about a run, and when its lease is void.

A claim grants a worker a run until a time, under a token that is new for every claim. Every later write names the
token. A lease is void once the run's row no longer holds its token: the run has ended, was released, was freed by the
reaper, was leased again or was cancelled; the write is then refused with `LeaseLost`. Expiry alone does not void a
lease: until the reaper frees the run, its worker may still write. So a result is recorded once or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVarTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from tuner.errors import InvalidValue, LeaseLost
from tuner.jobs.attempts import LOST_ATTEMPTS, MAX_LEASE_SECONDS, AttemptEnd
from tuner.jobs.forecasts import ForecastRecord
from tuner.jobs.records import CurvePoint, LeasedRun, LeaseStatus, SnapshotRef
from tuner.jobs.states import RunState
from tuner.store.accounting.usage import record_pace, record_usage
from tuner.store.db.database import Repository, Tx, reads, writes
from tuner.store.db.models import Forecast, Job, Point, Run, Snapshot
from tuner.store.db.rows import finite_or_none, forecast_row, job_metric, point_row
from tuner.store.db.upsert import upsert
from tuner.store.jobs.events import EventKind
from tuner.store.jobs.job_limits import mark_limit, reason_to_stop
from tuner.store.jobs.run_logs import append_chunk
from tuner.store.jobs.transitions import count_attempt, emit_run_event, end_run, requeue_or_fail, requeue_run

Columns = TypeVarTuple("Columns")


class Leases(Repository):
    """Writes of a worker about its leased runs. Each raises `LeaseLost` once the lease is void, and stores nothing."""

    @writes
    def heartbeat(
        self,
        tx: Tx,
        lease: LeasedRun,
        *,
        points: Sequence[CurvePoint] = (),
        forecasts: Sequence[ForecastRecord] = (),
        updates: int = 0,
        lease_seconds: float,
    ) -> LeaseStatus:
        """Store evaluations and forecasts, count the device time and extend the lease.

        An evaluation further than any before allows as many lost attempts in a row as at first, as a snapshot does.

        Args:
            lease: The claim.
            points: Evaluations since the last heartbeat. They overwrite the points that an earlier attempt has stored
                at the same steps. A NaN loss stays NaN (``train_loss`` becomes ``None``).
            forecasts: Made since the last heartbeat; they overwrite earlier ones likewise.
            updates: Updates executed since the last report, at least 0.
            lease_seconds: How long the lease lasts from now, above 0 and at most an hour.

        Returns:
            When the lease expires, and why the run must stop, if it must: its job was paused or has reached a limit,
            or a more urgent job needs the device.

        Raises:
            LeaseLost: The lease is void; nothing was stored.
        """
        check_lease_seconds("lease_seconds", lease_seconds)
        job, run = lock_lease(tx, lease)
        run.lease_expires_at = expires_at = tx.now + lease_seconds
        _record_progress(tx, job, run, updates=updates)
        if run.lost_in_a_row and points:  # code that owns its loop has checkpoints that are not known here
            furthest = tx.session.scalar(select(func.max(Point.step)).where(Point.run_id == run.id))
            if max(point.step for point in points) > (-1 if furthest is None else furthest):
                run.lost_in_a_row = 0
        upsert(tx.session, Point, rows=[point_row(point, run_id=run.id) for point in points])
        upsert(tx.session, Forecast, rows=[forecast_row(forecast, run_id=run.id) for forecast in forecasts])
        for point in points:
            run.step = _checked_step(point.step, run=run)
            emit_run_event(
                tx,
                EventKind.RUN_EVALUATED,
                run,
                step=point.step,
                total_steps=run.total_steps,
                lr=finite_or_none(point.lr),
                train_loss=finite_or_none(point.train_loss),
                value=finite_or_none(job_metric(job).value(point.val_loss)),
            )
        return LeaseStatus(expires_at=expires_at, stop=reason_to_stop(job, run))

    @reads
    def check(self, session: Session, lease: LeasedRun) -> str | None:
        """Check that a lease is held. Reads only: the device waits for this, and `heartbeat` writes later.

        Returns:
            Why the run must stop, as in `heartbeat`; ``None`` while it may continue.

        Raises:
            LeaseLost: The lease is void.
        """
        rows = session.execute(
            _where_lease_holds(select(Job, Run).join(Run, Run.job_id == Job.id), lease)
        ).one_or_none()
        if rows is None:
            raise LeaseLost(lease.run_id)
        return reason_to_stop(*rows)

    @writes
    def save_snapshot(self, tx: Tx, lease: LeasedRun, snapshot: SnapshotRef, *, updates: int = 0) -> None:
        """Record the run's latest snapshot, from which the next attempt resumes; it replaces an earlier one.

        One with more updates than the last allows as many lost attempts in a row as at first.

        Args:
            lease: The claim.
            snapshot: Its step and its file.
            updates: Updates executed since the last report, at least 0. They are counted in the same transaction as the
                snapshot: the next attempt resumes from it and does not execute them again.

        Raises:
            LeaseLost: The lease is void; nothing was stored.
        """
        job, run = lock_lease(tx, lease)
        _record_progress(tx, job, run, updates=updates)
        step = _checked_step(snapshot.step, run=run)
        last = tx.session.scalar(select(Snapshot.step).where(Snapshot.run_id == run.id))
        if step > (last or 0):
            run.lost_in_a_row = 0
        upsert(tx.session, Snapshot, rows=[{"run_id": run.id, "step": step, "path": snapshot.path, "saved_at": tx.now}])

    @writes
    def append_log(self, tx: Tx, lease: LeasedRun, text: str) -> None:
        """Store what the run's code printed: the first and the last part, 256 KiB for all attempts together.

        Args:
            lease: The claim.
            text: Any text; what a database cannot store is escaped. Empty text is not stored.

        Raises:
            LeaseLost: The lease is void; nothing was stored.
        """
        # Locks the run alone: its log does not wait for other writes to the job.
        attempt = tx.session.scalar(_where_lease_holds(select(Run.attempts), lease).with_for_update(key_share=True))
        if attempt is None:
            raise LeaseLost(lease.run_id)
        append_chunk(tx, lease.run_id, attempt=attempt, text=text)

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
            loss: At the end, lower is better whatever the metric, finite; ``None`` when the run diverged.
            step: Updates from the start of the schedule.
            updates: Updates executed since the last report, at least 0.
            shared_updates: Updates among ``step`` that another run of a shared prefix has executed.
            reason: How the run diverged.

        Raises:
            LeaseLost: The lease is void; nothing was recorded.
            InvalidValue: The loss is NaN or infinite (such a run diverged), or the shared updates are not in
                [0, step].
        """
        if loss is not None and not math.isfinite(loss):
            raise InvalidValue("loss", value=loss, allowed="finite, or None for a run that diverged")
        job, run = lock_lease(tx, lease)
        _record_end(tx, job, run, step=step, updates=updates, shared_updates=shared_updates)
        state = RunState.DIVERGED if loss is None else RunState.SUCCEEDED
        end_run(tx, job, run, state=state, loss=loss, error=reason if loss is None else None)

    @writes
    def stop(
        self,
        tx: Tx,
        lease: LeasedRun,
        *,
        forecast: ForecastRecord,
        step: int,
        updates: int,
        shared_updates: int = 0,
        reason: str,
    ) -> None:
        """Record, once, that a run was stopped early.

        Args:
            lease: The claim.
            forecast: Which left it too small a chance.
            step: Updates from the start of the schedule.
            updates: Updates executed since the last report, at least 0.
            shared_updates: Updates among ``step`` that another run of a shared prefix has executed.
            reason: In words.

        Raises:
            LeaseLost: The lease is void; nothing was recorded.
            InvalidValue: The shared updates are not in [0, step].
        """
        job, run = lock_lease(tx, lease)
        upsert(tx.session, Forecast, rows=[forecast_row(forecast, run_id=run.id)])
        _record_end(tx, job, run, step=step, updates=updates, shared_updates=shared_updates)
        metric = job_metric(job)
        end_run(
            tx,
            job,
            run,
            state=RunState.STOPPED,
            error=reason,
            forecast=metric.value(forecast.mean),
            chance=forecast.chance,
            leader=metric.value(forecast.leader_mean),
        )

    @writes
    def fail(self, tx: Tx, lease: LeasedRun, *, reason: str, retry: bool, updates: int = 0) -> None:
        """Record that an attempt failed by the workload's code.

        Args:
            lease: The claim.
            reason: What happened, such as a traceback.
            retry: Whether another attempt may succeed. The run then returns to the queue, with its snapshot, unless it
                has failed too often.
            updates: Updates executed since the last report, at least 0.

        Raises:
            LeaseLost: The lease is void; nothing was recorded.
        """
        job, run = lock_lease(tx, lease)
        _record_progress(tx, job, run, updates=updates)
        if retry:
            requeue_or_fail(tx, job, run, end=AttemptEnd.FAILED, reason=reason)
        else:
            count_attempt(job, run, end=AttemptEnd.FAILED)
            end_run(tx, job, run, state=RunState.FAILED, error=reason or "no reason was given", end=AttemptEnd.FAILED)

    @writes
    def lose(self, tx: Tx, lease: LeasedRun, *, reason: str, lost_limit: int = LOST_ATTEMPTS, updates: int = 0) -> None:
        """Record that an attempt was lost by the infrastructure; the run returns to the queue, with its snapshot.

        Args:
            lease: The claim.
            reason: What happened.
            lost_limit: Attempts in a row that may be lost while no snapshot moves on; the last one fails the run.
            updates: Updates executed since the last report, at least 0.

        Raises:
            LeaseLost: The lease is void; nothing was recorded.
        """
        job, run = lock_lease(tx, lease)
        _record_progress(tx, job, run, updates=updates)
        requeue_or_fail(tx, job, run, end=AttemptEnd.LOST, reason=reason, lost_limit=lost_limit)

    @writes
    def release(self, tx: Tx, lease: LeasedRun, *, updates: int = 0) -> None:
        """Return a run to the queue, as a worker does when it shuts down; the attempt neither failed nor was lost.

        Raises:
            LeaseLost: The lease is void.
        """
        job, run = lock_lease(tx, lease)
        _record_progress(tx, job, run, updates=updates)
        requeue_run(tx, run, end=AttemptEnd.RETURNED, reason=f"worker {run.worker} gave it back")


def lock_lease(tx: Tx, lease: LeasedRun) -> tuple[Job, Run]:
    """Lock the rows of a lease's job and run until the transaction ends.

    Raises:
        LeaseLost: The lease is void: its token is not the run's. An expired lease that the reaper has not freed holds.
    """
    job = tx.session.scalar(select(Job).where(Job.id == lease.job_id).with_for_update(key_share=True))
    run = tx.session.scalar(_where_lease_holds(select(Run), lease).with_for_update(key_share=True))
    if job is None or run is None:
        raise LeaseLost(lease.run_id)
    return job, run


def _where_lease_holds(query: Select[*Columns], lease: LeasedRun) -> Select[*Columns]:
    """The rule: a lease holds while its run's row has its token."""
    return query.where(Run.id == lease.run_id, Run.lease_token == lease.token)


def _record_progress(tx: Tx, job: Job, run: Run, *, updates: int) -> None:
    """Record device time and updates since the last report, and mark the job if it has reached a limit."""
    record_usage(tx, job, run, updates=updates)
    mark_limit(tx, job)


def _record_end(tx: Tx, job: Job, run: Run, *, step: int, updates: int, shared_updates: int) -> None:
    """Record how far a run came, and the pace of its worker."""
    _record_progress(tx, job, run, updates=updates)
    run.step = _checked_step(step, run=run)
    if not 0 <= shared_updates <= step:
        raise InvalidValue("shared_updates", value=shared_updates, allowed=f"in [0, {step}]")
    run.shared_updates = shared_updates
    job.updates_saved += shared_updates
    record_pace(tx, job, run)


def _checked_step(step: int, *, run: Run) -> int:
    if not 0 <= step <= run.total_steps:
        raise InvalidValue("step", value=step, allowed=f"in [0, {run.total_steps}]")
    return step


def check_lease_seconds(field: str, value: float) -> None:
    """Refuse a duration of a lease or a lock that always or hardly ever expires."""
    if not 0 < value <= MAX_LEASE_SECONDS:
        raise InvalidValue(field, value=value, allowed=f"above 0 and at most {MAX_LEASE_SECONDS:g} s")
