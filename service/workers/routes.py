"""``/v1/workers``: who trains."""

from __future__ import annotations

from fastapi import APIRouter

from service.resources import StoreDep
from tuner.jobs.records import WorkerRecord

router = APIRouter(prefix="/workers", tags=["workers"])


@router.get("", summary="List workers")
def list_workers(store: StoreDep) -> tuple[WorkerRecord, ...]:
    """Every worker that the database knows: its device, what it offers, and whether it is alive."""
    return store.fleet.workers()
