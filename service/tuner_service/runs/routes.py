"""``/v1/runs``: one training of one schedule, its curve, and what it printed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from tuner.jobs.curves import MIN_POINTS
from tuner.jobs.records import RunRecord
from tuner.jobs.states import RunState
from tuner_service.access import VisibleRun
from tuner_service.examples import CHUNK, RUN, answer
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import StoreDep
from tuner_service.runs.schemas import CurveSample, RunLog

router = APIRouter(prefix="/runs", tags=["runs"])

_MISSING = declared(catalog.NOT_FOUND)
_GOING_ON = frozenset({RunState.QUEUED, RunState.LEASED})
_SAMPLES = (
    CurveSample(step=0, lr=0.025, train_loss=None, val_loss=2.31),
    CurveSample(step=34, lr=0.1, train_loss=1.12, val_loss=0.64),
    CurveSample(step=67, lr=0.002, train_loss=0.42, val_loss=0.31),
)


@router.get("/{run_id}", summary="Show a run", responses=_MISSING | answer(RUN))
def show_run(run: VisibleRun) -> RunRecord:
    """What was trained, why, by whom, and how it ended."""
    return run


@router.get("/{run_id}/curve", summary="Show a run's curve", responses=_MISSING | answer(_SAMPLES))
def show_curve(
    run: VisibleRun,
    store: StoreDep,
    points: Annotated[
        int | None,
        Query(
            ge=MIN_POINTS,
            le=10_000,
            description="Thin it to at most so many: the first, the last, the lowest and the first that is not finite "
            "are kept. All when absent.",
        ),
    ] = None,
) -> tuple[CurveSample, ...]:
    """Learning rate, training loss and validation loss at each evaluation so far, by step."""
    return tuple(CurveSample.of(point) for point in store.runs.curve(run.id, points=points))


@router.get(
    "/{run_id}/log",
    summary="Read what a run printed",
    responses=_MISSING | answer(RunLog(chunks=(CHUNK,), next=0, complete=True)),
)
def read_log(
    run: VisibleRun,
    store: StoreDep,
    after: Annotated[
        int, Query(ge=-1, lt=2**31, description="`next` of the piece before; the beginning when absent.")
    ] = -1,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many chunks.")] = 200,
) -> RunLog:
    """What the run's code printed, as its worker sent it, a piece at a time.

    Of a run's log the beginning and the end are kept, 256 KiB in all; between them a chunk of attempt 0 says how much
    is left out. To follow a run, ask again with `next`
    until it is `complete`.
    """
    # The run was read first: what it printed before it ended is there by now.
    chunks = store.runs.log(run.id, after=after, limit=limit)
    return RunLog(
        chunks=chunks,
        next=chunks[-1].seq if chunks else after,
        complete=run.state not in _GOING_ON and len(chunks) < limit,
    )
