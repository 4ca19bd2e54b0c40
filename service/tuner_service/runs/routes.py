"""``/v1/runs``: a run, its curve, and its log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from tuner.api.runs import CurveSample, RunLog, RunView
from tuner.jobs.curves import MAX_POINTS, MIN_POINTS
from tuner.jobs.states import RunState
from tuner_service.access import PrincipalDep, VisibleRun
from tuner_service.limits.expensive import EXPENSIVE
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/runs", tags=["runs"])

_MISSING = problem_responses(catalog.NOT_FOUND)
_OPEN = frozenset({RunState.QUEUED, RunState.LEASED})


@router.get("", summary="Find runs by the start of their id")
def find_runs(
    store: StoreDep,
    principal: PrincipalDep,
    id: Annotated[str, Query(min_length=4, max_length=36, pattern="^[0-9a-f-]+$", description="The start of the id.")],
) -> tuple[RunView, ...]:
    """The runs that you may see whose ids begin so, the newest first; ten at most."""
    return tuple(map(RunView.of, store.runs.find(id, visibility=principal.visibility)))


@router.get("/{run_id}", summary="Get a run", responses=_MISSING)
def get_run(run: VisibleRun) -> RunView:
    """One training of one configuration: its purpose, its worker, its state and its result."""
    return RunView.of(run)


@router.get("/{run_id}/curve", summary="Get a run's learning curve", dependencies=[EXPENSIVE], responses=_MISSING)
def get_curve(
    run: VisibleRun,
    store: StoreDep,
    points: Annotated[
        int | None,
        Query(
            ge=MIN_POINTS,
            le=MAX_POINTS,
            description="Thin the curve to at most this many points; the first, the last, the best and the first "
            "that is not finite stay. The largest number when absent.",
        ),
    ] = None,
) -> tuple[CurveSample, ...]:
    """Learning rate, training loss and metric at each evaluation so far, by step."""
    return tuple(CurveSample.of(point, metric=run.metric) for point in store.runs.curve(run.id, points=points))


@router.get("/{run_id}/log", summary="Get a run's log", responses=_MISSING)
def get_log(
    run: VisibleRun,
    store: StoreDep,
    after: Annotated[
        int, Query(ge=-1, lt=2**31, description="`next` of the previous response; the start of the log when absent.")
    ] = -1,
    limit: Annotated[int, Query(ge=1, le=1000, description="Chunks per response.")] = 200,
) -> RunLog:
    """What the run's code printed, in chunks.

    The service stores the start and the end of a log, 256 KiB in all; a chunk of attempt 0 between them states how much
    is left out. To follow a run, repeat the request with `next` until the log is `complete`.
    """
    # The run was read first: what it printed before it ended is stored by now.
    chunks = store.runs.log(run.id, after=after, limit=limit)
    return RunLog(
        chunks=chunks,
        next=chunks[-1].seq if chunks else after,
        complete=run.state not in _OPEN and len(chunks) < limit,
    )
