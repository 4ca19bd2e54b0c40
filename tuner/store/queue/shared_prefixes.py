"""Sibling runs: the runs that may share a prefix with a leased one, for which a worker stores branch states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuner.jobs.records import LeasedRun, RunKind, SiblingRun
from tuner.jobs.states import RunState, TrialState
from tuner.schedules import Schedule
from tuner.search.decision.rungs import rung_schedule, rung_steps, search_seed
from tuner.search.settings import SearchSettings
from tuner.store.db.models import Run, Trial
from tuner.store.db.rows import job_spec
from tuner.store.jobs.transitions import find_job

MAX_SIBLING_RUNS = 64
"""Of each kind, the oldest so many: the worker compares learning rates while its device waits."""


def read_sibling_runs(session: Session, lease: LeasedRun) -> tuple[SiblingRun, ...]:
    """The queued runs with the seed and the options of a leased one, and the higher rungs of active trials."""
    spec = job_spec(find_job(session, lease.job_id).spec)
    found = (*_queued_runs(session, lease), *_expected_runs(session, lease, settings=spec.search))
    return tuple(sibling for options, sibling in found if {**spec.options, **options} == lease.options)


def _queued_runs(session: Session, lease: LeasedRun) -> Iterator[tuple[dict[str, Any], SiblingRun]]:
    queued = (
        select(Trial.options, Run.schedule, Run.total_steps)
        .join(Trial, Trial.id == Run.trial_id)
        .where(Run.job_id == lease.job_id, Run.state == RunState.QUEUED, Run.seed == lease.seed)
        .order_by(Run.seq)
        .limit(MAX_SIBLING_RUNS)
    )
    for options, schedule, total_steps in session.execute(queued):
        yield options, SiblingRun(schedule=Schedule.model_validate(schedule), total_steps=total_steps)


def _expected_runs(
    session: Session, lease: LeasedRun, *, settings: SearchSettings
) -> Iterator[tuple[dict[str, Any], SiblingRun]]:
    if lease.seed != search_seed(settings):
        return
    steps = rung_steps(settings)
    # The highest rung that each trial has a run at: what may still come are the rungs above it.
    reached = (
        select(Run.trial_id, func.max(Run.rung).label("rung"))
        .where(Run.job_id == lease.job_id, Run.kind == RunKind.RUNG)
        .group_by(Run.trial_id)
        .subquery()
    )
    active = (
        select(Trial.options, Trial.schedule, reached.c.rung)
        .join(reached, reached.c.trial_id == Trial.id)
        .where(Trial.job_id == lease.job_id, Trial.state == TrialState.ACTIVE)
        .order_by(Trial.number)
        .limit(MAX_SIBLING_RUNS)
    )
    for options, stored, rung in session.execute(active):
        schedule = Schedule.model_validate(stored)
        for higher in range(rung + 1, len(steps)):
            compressed = rung_schedule(schedule, settings=settings, rung=higher)
            yield options, SiblingRun(schedule=compressed, total_steps=steps[higher])
