"""Jobs with their progress, summed by the database: none of their runs and trials is loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from tuner.jobs.progress import JobOverview, JobStatus, RunTally, Tally, progress
from tuner.jobs.states import RunState, TrialState
from tuner.store.db.database import read_clock
from tuner.store.db.models import Job, Report, Run, Trial, Worker
from tuner.store.db.rows import job_record

# Built once: building a statement costs as much as running it, and clients poll this one.
_JOBS = bindparam("job_ids", expanding=True, type_=Run.job_id.type)
_STATES = (
    select(Trial.job_id, Trial.state, func.count())
    .where(Trial.job_id.in_(_JOBS), Trial.number >= 0)
    .group_by(Trial.job_id, Trial.state)
)
_SUMS = (
    select(
        Run.job_id,
        Run.state,
        func.count(),
        func.sum(Run.total_steps),
        func.sum(Run.step),
        func.sum(Run.updates),
        func.sum(Run.device_seconds),
    )
    .where(Run.job_id.in_(_JOBS))
    .group_by(Run.job_id, Run.state)
)
_DEVICES = (
    select(Run.job_id, func.sum(Worker.devices))
    .join(Run, Run.worker == Worker.name)
    .where(Run.job_id.in_(_JOBS), Run.state == RunState.LEASED)
    .group_by(Run.job_id)
)


def read_status(session: Session, job: Job) -> JobStatus:
    """A job with its progress."""
    return read_statuses(session, [job])[0]


def read_statuses(session: Session, jobs: Sequence[Job]) -> tuple[JobStatus, ...]:
    """Jobs with their progress, in their order."""
    tallies = _tallies(session, [job.id for job in jobs])
    records = map(job_record, jobs)
    return tuple(JobStatus(job=record, progress=progress(record, tally=tallies[record.id])) for record in records)


def read_overviews(session: Session, job_ids: Collection[str]) -> tuple[JobOverview, ...]:
    """Jobs with their progress and results so far, in the order of the ids; a deleted one is left out."""
    found = {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(job_ids)))}
    statuses = read_statuses(session, [found[job_id] for job_id in job_ids if job_id in found])
    reports = select(Report.job_id, Report.report["finding"].as_string()).where(Report.job_id.in_(found))
    findings: dict[str, str] = dict(session.execute(reports).all())
    now = read_clock(session)
    return tuple(
        JobOverview(
            status=status,
            finding=findings.get(status.job.id),
            age_seconds=max(0.0, now - status.job.created_at),
        )
        for status in statuses
    )


def _tallies(session: Session, job_ids: Sequence[str]) -> Mapping[str, Tally]:
    """What the progress of each job follows from."""
    bound = {"job_ids": job_ids}
    runs: defaultdict[str, list[RunTally]] = defaultdict(list)
    for job_id, state, count, total_steps, steps, updates, device_seconds in session.execute(_SUMS, bound):
        tally = RunTally(
            state=state,
            runs=count,
            total_steps=int(total_steps),
            steps=int(steps),
            updates=int(updates),
            device_seconds=float(device_seconds),
        )
        runs[job_id].append(tally)
    trials: defaultdict[str, dict[TrialState, int]] = defaultdict(dict)
    for job_id, trial_state, count in session.execute(_STATES, bound):
        trials[job_id][trial_state] = count
    training = [job_id for job_id, of_job in runs.items() if any(one.state is RunState.LEASED for one in of_job)]
    devices = _devices(session, training) if training else {}
    return {
        job_id: Tally(trials=trials[job_id], runs=tuple(runs[job_id]), devices=devices.get(job_id, 0))
        for job_id in job_ids
    }


def _devices(session: Session, job_ids: Sequence[str]) -> dict[str, int]:
    """The number of devices that train each job's runs: a run uses all devices of its worker."""
    return {job_id: int(devices) for job_id, devices in session.execute(_DEVICES, {"job_ids": job_ids})}
