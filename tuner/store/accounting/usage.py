"""Usage: the device time of runs, jobs and accounts, and the measured pace of workloads.

The device time of a lease is its duration times the worker's devices. Every write under the lease adds what has passed
since the last one; for a worker without heartbeats, time counts up to the lease's expiry.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuner.errors import InvalidValue
from tuner.jobs.limits import HOUR_SECONDS
from tuner.jobs.records import WorkerOffer
from tuner.jobs.scheduling.serving_order import UNMEASURED_SECONDS
from tuner.search.decision.decisions import RANGE_TEST_TRIAL
from tuner.store.db.database import Tx
from tuner.store.db.models import Job, Pace, Run, Usage, Worker
from tuner.store.db.upsert import upsert_sums

WINDOW_HOURS = 24
"""The fair share counts the current hour and the 23 hours before it."""


def hour_of(now: float) -> int:
    """The hour of a time, in hours since 1970 UTC."""
    return int(now // HOUR_SECONDS)


def first_hour_of_month(now: float) -> int:
    """The first hour of the calendar month (UTC) of a time."""
    first = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return hour_of(first.timestamp())


def record_usage(tx: Tx, job: Job, run: Run, *, updates: int = 0, silent: bool = False) -> None:
    """Record a lease's device time since the last record, and the updates executed in it.

    Args:
        tx: Holds both rows.
        job: Of the run.
        run: A leased run.
        updates: At least 0.
        silent: Its worker sends no heartbeats: device time after the lease's expiry is not counted.

    Raises:
        InvalidValue: The updates are negative.
    """
    if updates < 0:
        raise InvalidValue("updates", value=updates, allowed="at least 0")
    # A clock that was ahead may have stored the last record's time: nothing is counted until this one's.
    since = tx.now if run.accounted_at is None else min(run.accounted_at, tx.now)
    until = min(tx.now, run.lease_expires_at) if silent and run.lease_expires_at is not None else tx.now
    seconds = max(0.0, until - since) * _devices(tx, run)
    run.accounted_at = max(since, until)
    run.expected_seconds = max(0.0, (run.expected_seconds or 0.0) - seconds)
    run.device_seconds += seconds
    run.updates += updates
    job.device_seconds += seconds
    job.updates_spent += updates
    if seconds > 0 or updates > 0:
        hour = {"team": job.team, "owner": job.owner, "hour": hour_of(tx.now)}
        row = {**hour, "device_seconds": seconds, "updates": updates}
        upsert_sums(tx.session, Usage, row=row, adding=("device_seconds", "updates"))


def record_pace(tx: Tx, job: Job, run: Run) -> None:
    """Add a finished run to its workload's pace on the device model that finished it.

    A run of a range test says nothing of it: it is evaluated far more often than others.
    """
    if run.trial_number == RANGE_TEST_TRIAL:
        return
    model = tx.session.scalar(select(Worker.device_model).where(Worker.name == run.worker))
    if model is None or run.updates == 0:
        return
    row = {
        "workload": job.workload,
        "version": job.workload_version,
        "device_model": model,
        "updates": run.updates,
        "device_seconds": run.device_seconds,
    }
    upsert_sums(tx.session, Pace, row=row, adding=("updates", "device_seconds"))


def expected_seconds(session: Session, job: Job, *, offer: WorkerOffer, updates: int) -> float:
    """The expected device time of a number of updates on a worker."""
    pace = session.execute(
        select(Pace.updates, Pace.device_seconds).where(
            Pace.workload == job.workload, Pace.version == job.workload_version, Pace.device_model == offer.device_model
        )
    ).one_or_none()
    if pace is None:
        return UNMEASURED_SECONDS * offer.devices
    return float(updates * pace.device_seconds / pace.updates)


def usage_since(session: Session, *, hour: int, team: str) -> dict[str, float]:
    """Device seconds of a team since the start of an hour, by user."""
    sums = (
        select(Usage.owner, func.sum(Usage.device_seconds).label("seconds"))
        .where(Usage.team == team, Usage.hour >= hour)
        .group_by(Usage.owner)
    )
    return {row.owner: row.seconds for row in session.execute(sums)}


def _devices(tx: Tx, run: Run) -> int:
    """The number of devices of the run's worker; 1 if the worker was deleted."""
    return tx.session.scalar(select(Worker.devices).where(Worker.name == run.worker)) or 1
