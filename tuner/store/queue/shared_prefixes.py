"""Sibling runs: the runs that may share a prefix with a leased one, for which a worker stores branch states."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.jobs.records import LeasedRun, SiblingRun
from tuner.jobs.states import RunState
from tuner.schedules import Schedule
from tuner.store.db.models import Run, Trial
from tuner.store.jobs.transitions import find_job

MAX_SIBLING_RUNS = 64
"""The oldest so many: the worker compares learning rates while its device waits."""


def read_sibling_runs(session: Session, lease: LeasedRun) -> tuple[SiblingRun, ...]:
    """The queued runs with the seed and the options of a leased one."""
    options_of_job = find_job(session, lease.job_id).spec["options"]
    queued = (
        select(Trial.options, Run.schedule, Run.total_steps)
        .join(Trial, Trial.id == Run.trial_id)
        .where(Run.job_id == lease.job_id, Run.state == RunState.QUEUED, Run.seed == lease.seed)
        .order_by(Run.seq)
        .limit(MAX_SIBLING_RUNS)
    )
    return tuple(
        SiblingRun(schedule=Schedule.model_validate(schedule), total_steps=total_steps)
        for options, schedule, total_steps in session.execute(queued)
        if {**options_of_job, **options} == lease.options
    )
