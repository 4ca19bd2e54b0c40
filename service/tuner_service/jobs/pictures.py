"""``/v1/jobs/{job_id}/schedules`` and ``/curves``: what a picture of a whole job is drawn from."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from tuner.api.runs import CurvePage, RatesPage, RunCurve, TrialRates
from tuner.jobs.curves import MIN_POINTS
from tuner.search.decision.decisions import RANGE_TEST_TRIAL
from tuner_service.access import VisibleJob
from tuner_service.jobs.followed_losses import followed_losses
from tuner_service.jobs.parameters import Cursor
from tuner_service.limits.expensive import EXPENSIVE
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/jobs", tags=["jobs"])

_MISSING = problem_responses(catalog.NOT_FOUND)


@router.get(
    "/{job_id}/schedules",
    summary="Get the learning rates of a job's trials",
    dependencies=[EXPENSIVE],
    responses=_MISSING,
)
def get_rates(
    job: VisibleJob,
    store: StoreDep,
    points: Annotated[int, Query(ge=2, le=400, description="Maximum number of updates, evenly spaced.")] = 100,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Trials per page.")] = 100,
) -> RatesPage:
    """The learning rates of every trial of the search over the full horizon, at the same updates.

    Where they follow the loss, they are those of the trial's first run.
    """
    total_steps = job.spec.search.total_steps
    updates = np.unique(np.linspace(0, total_steps - 1, num=points).round().astype(np.int64))
    page = store.trials.list(job.id, cursor=cursor, limit=limit)
    rates = (
        TrialRates(
            trial=trial.number,
            label=trial.configuration.label,
            state=trial.state,
            lrs=tuple(
                trial.schedule.lrs_at(
                    updates, total_steps=total_steps, losses=followed_losses(trial, job_id=job.id, store=store)
                ).tolist()
            ),
        )
        for trial in page.items
        if trial.number != RANGE_TEST_TRIAL  # the sweep of a range test may be longer than the horizon
    )
    return RatesPage(
        total_steps=total_steps, updates=tuple(updates.tolist()), items=tuple(rates), next_cursor=page.next_cursor
    )


@router.get(
    "/{job_id}/curves", summary="Get the learning curves of a job's runs", dependencies=[EXPENSIVE], responses=_MISSING
)
def get_curves(
    job: VisibleJob,
    store: StoreDep,
    points: Annotated[
        int,
        Query(
            ge=MIN_POINTS,
            le=400,
            description="Thin each curve to at most this many points; the first, the last, the best and the first "
            "that is not finite stay.",
        ),
    ] = 100,
    trial: Annotated[
        int | None, Query(ge=-1, lt=2**31, description="Only runs of this trial; -1 for the range test.")
    ] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Runs per page.")] = 50,
) -> CurvePage:
    """The learning curves of every run so far, running ones included."""
    page = store.runs.list(job.id, trial=trial, cursor=cursor, limit=limit)
    curves = (RunCurve.of(run, points=store.runs.curve(run.id, points=points)) for run in page.items)
    return CurvePage(items=tuple(curves), next_cursor=page.next_cursor)
