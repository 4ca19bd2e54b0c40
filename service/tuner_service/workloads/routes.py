"""``/v1/workloads``: what can be tuned."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from tuner.jobs.records import WorkloadInfo
from tuner_service.examples import WORKLOAD, answer
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/workloads", tags=["workloads"])

Name = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$", description="The workload's name.")]


@router.get("", summary="List workloads", responses=answer((WORKLOAD,)))
def list_workloads(store: StoreDep) -> tuple[WorkloadInfo, ...]:
    """Every workload that a worker has announced, with its options and their defaults."""
    return store.workers.workloads()


@router.get("/{name}", summary="Show a workload", responses=declared(catalog.NOT_FOUND) | answer(WORKLOAD))
def show_workload(name: Name, store: StoreDep) -> WorkloadInfo:
    """One workload: what it trains, its options with defaults and ranges, its optimizers, its usual horizon."""
    return store.workers.workload(name)
