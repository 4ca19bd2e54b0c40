"""``/v1/runs``: one training of one schedule, and its curve."""

from __future__ import annotations

from fastapi import APIRouter

from service.problems import catalog
from service.problems.rendering import declared
from service.resources import Id, StoreDep
from service.runs.schemas import CurveSample
from tuner.jobs.records import RunRecord

router = APIRouter(prefix="/runs", tags=["runs"])

_MISSING = declared(catalog.NOT_FOUND, catalog.INVALID_REQUEST)


@router.get("/{run_id}", summary="Show a run", responses=_MISSING)
def show_run(run_id: Id, store: StoreDep) -> RunRecord:
    """What was trained, why, by whom, and how it ended."""
    return store.jobs.run(run_id)


@router.get("/{run_id}/curve", summary="Show a run's curve", responses=_MISSING)
def show_curve(run_id: Id, store: StoreDep) -> tuple[CurveSample, ...]:
    """Learning rate, training loss and validation loss at each evaluation so far, by step."""
    return tuple(CurveSample.of(point) for point in store.jobs.curve(run_id))
