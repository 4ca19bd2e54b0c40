"""A job's own limits on device and wall hours, enforced while its runs train."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_

from tuner.jobs.limits import HOUR_SECONDS, limit_reached
from tuner.jobs.spec import Limits
from tuner.jobs.states import JobState
from tuner.store.db.database import Tx
from tuner.store.db.models import Job, Run
from tuner.store.jobs.events import EventKind


def past_limits(now: float) -> ColumnElement[bool]:
    """The jobs that `mark_limit` would mark."""
    limits = Job.spec["limits"]
    device_seconds = limits["device_hours"].as_float() * HOUR_SECONDS
    wall_seconds = limits["wall_hours"].as_float() * HOUR_SECONDS
    return and_(
        Job.state == JobState.RUNNING,
        Job.limit_reached.is_(None),
        or_(Job.device_seconds >= device_seconds, now - Job.started_at >= wall_seconds),
    )


def mark_limit(tx: Tx, job: Job) -> bool:
    """Mark a running job that has reached one of its limits, once; the next planning ends it.

    Returns:
        Whether it was marked now.
    """
    if job.state is not JobState.RUNNING or job.limit_reached is not None or job.started_at is None:
        return False
    limits = Limits.model_validate(job.spec.get("limits", {}))
    reached = limit_reached(limits, device_seconds=job.device_seconds, wall_seconds=tx.now - job.started_at)
    if reached is None:
        return False
    job.limit_reached = reached
    job.plan_due = True
    tx.emit(EventKind.JOB_LIMIT_REACHED, job_id=job.id, reason=reached)
    return True


def reason_to_stop(job: Job, run: Run) -> str | None:
    """Why a leased run must stop and return to the queue; ``None`` while it may continue."""
    if job.state is JobState.PAUSED:
        return "the job is paused"
    if job.limit_reached is not None:
        return f"the job has reached its limit: {job.limit_reached}"
    return run.stop_reason
