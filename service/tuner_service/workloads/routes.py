"""``/v1/workloads``: the workloads that the workers offer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from tuner.api.workloads import WorkloadView
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/workloads", tags=["workloads"])

Name = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$", description="The workload's name.")]


@router.get("", summary="List workloads")
def list_workloads(store: StoreDep) -> tuple[WorkloadView, ...]:
    """Every workload that a worker has announced, with its options and their defaults, and its default search."""
    return tuple(map(WorkloadView.of, store.workers.workloads()))


@router.get("/{name}", summary="Get a workload", responses=problem_responses(catalog.NOT_FOUND))
def get_workload(name: Name, store: StoreDep) -> WorkloadView:
    """One workload: its options with defaults and ranges, its optimizers, and the search of a job that names none."""
    return WorkloadView.of(store.workers.workload(name))
