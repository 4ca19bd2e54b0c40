"""A job with its progress, summed by the database: none of its runs and trials is loaded."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from tuner.jobs.progress import JobStatus, RunTally, Tally, progress
from tuner.jobs.states import RunState
from tuner.store.db.models import Job, Run, Trial, Worker
from tuner.store.db.rows import job_record

# Built once: building a statement costs as much as running it, and clients poll this one.
_JOB = bindparam("job_id", type_=Run.job_id.type)
_STATES = select(Trial.state, func.count()).where(Trial.job_id == _JOB).group_by(Trial.state)
_SUMS = (
    select(
        Run.state,
        func.count(),
        func.sum(Run.total_steps),
        func.sum(Run.step),
        func.sum(Run.updates),
        func.sum(Run.device_seconds),
    )
    .where(Run.job_id == _JOB)
    .group_by(Run.state)
)
_DEVICES = (
    select(func.coalesce(func.sum(Worker.devices), 0))
    .join(Run, Run.worker == Worker.name)
    .where(Run.job_id == _JOB, Run.state == RunState.LEASED)
)


def read_status(session: Session, job: Job) -> JobStatus:
    """A job with its progress."""
    record = job_record(job)
    return JobStatus(job=record, progress=progress(record, tally=_tally(session, job.id)))


def _tally(session: Session, job_id: str) -> Tally:
    runs = tuple(
        RunTally(
            state=state,
            runs=runs,
            total_steps=int(total_steps),
            steps=int(steps),
            updates=int(updates),
            device_seconds=float(device_seconds),
        )
        for state, runs, total_steps, steps, updates, device_seconds in session.execute(_SUMS, {"job_id": job_id})
    )
    return Tally(
        trials=dict(session.execute(_STATES, {"job_id": job_id}).all()),
        runs=runs,
        devices=_devices(session, job_id) if any(one.state is RunState.LEASED for one in runs) else 0,
    )


def _devices(session: Session, job_id: str) -> int:
    """The number of devices that train the job's runs: a run uses all devices of its worker."""
    return int(session.scalar(_DEVICES, {"job_id": job_id}) or 0)
