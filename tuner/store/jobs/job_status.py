"""A job with its progress, summed by the database: of its runs and trials only the best is loaded."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from tuner.jobs.progress import BestSoFar, JobStatus, RunTally, Tally, progress
from tuner.jobs.records import RunKind
from tuner.jobs.states import RunState
from tuner.metric import Metric
from tuner.schedules import Schedule
from tuner.search.configuration import label_of
from tuner.store.db.models import Job, Run, Trial, Worker
from tuner.store.db.rows import job_record

# Built once: building a statement costs as much as running it, and clients poll this one.
_JOB = bindparam("job_id", type_=Run.job_id.type)
_STATES = select(Trial.state, func.count()).where(Trial.job_id == _JOB).group_by(Trial.state)
_SUMS = (
    select(
        Run.kind,
        Run.rung,
        Run.state,
        func.count(),
        func.sum(Run.total_steps),
        func.sum(Run.step),
        func.sum(Run.updates),
        func.sum(Run.device_seconds),
    )
    .where(Run.job_id == _JOB)
    .group_by(Run.kind, Run.rung, Run.state)
)
_BEST = (
    select(Run.trial_number, Run.loss, Run.rung, Run.total_steps, Trial.schedule, Trial.options)
    .join(Trial, Trial.id == Run.trial_id)
    .where(Run.job_id == _JOB, Run.kind == RunKind.RUNG, Run.loss.is_not(None))
    .order_by(Run.rung.desc(), Run.loss, Run.trial_number)
    .limit(1)
)
_DEVICES = (
    select(func.coalesce(func.sum(Worker.devices), 0))
    .join(Run, Run.worker == Worker.name)
    .where(Run.job_id == _JOB, Run.state == RunState.LEASED)
)


def read_status(session: Session, job: Job) -> JobStatus:
    """A job with its progress."""
    record = job_record(job)
    return JobStatus(job=record, progress=progress(record, tally=_tally(session, job.id, metric=record.metric)))


def _tally(session: Session, job_id: str, *, metric: Metric) -> Tally:
    runs = _run_tallies(session, job_id)
    return Tally(
        trials=dict(session.execute(_STATES, {"job_id": job_id}).all()),
        runs=runs,
        best=_best(session, job_id, metric=metric),
        devices=_devices(session, job_id) if any(tally.state is RunState.LEASED for tally in runs) else 0,
    )


def _run_tallies(session: Session, job_id: str) -> tuple[RunTally, ...]:
    return tuple(
        RunTally(
            kind=kind,
            rung=rung,
            state=state,
            runs=runs,
            total_steps=int(total_steps),
            steps=int(steps),
            updates=int(updates),
            device_seconds=float(device_seconds),
        )
        for kind, rung, state, runs, total_steps, steps, updates, device_seconds in session.execute(
            _SUMS, {"job_id": job_id}
        )
    )


def _best(session: Session, job_id: str, *, metric: Metric) -> BestSoFar | None:
    found = session.execute(_BEST, {"job_id": job_id}).one_or_none()
    if found is None or found.loss is None:
        return None
    return BestSoFar(
        trial=found.trial_number,
        label=label_of(Schedule.model_validate(found.schedule), options=found.options),
        value=metric.value(found.loss),
        rung=found.rung,
        updates=found.total_steps,
    )


def _devices(session: Session, job_id: str) -> int:
    """The number of devices that train the job's runs: a run uses all devices of its worker."""
    return int(session.scalar(_DEVICES, {"job_id": job_id}) or 0)
