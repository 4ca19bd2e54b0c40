"""``/v1/workers``: the workers, their reservations and whether they drain."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from tuner.api.queue import WorkerChange
from tuner.jobs.records import WorkerRecord
from tuner_service.access import ActorDep, PrincipalDep, running_the_service
from tuner_service.json_body import StrictRoute, strict_body
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/workers", tags=["workers"], route_class=StrictRoute)

Name = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$", description="The worker's name.")]

_MISSING = problem_responses(catalog.NOT_FOUND)
_FOR_ADMINS = problem_responses(catalog.FORBIDDEN, catalog.NOT_FOUND)


@router.get("", summary="List workers")
def list_workers(store: StoreDep, principal: PrincipalDep) -> tuple[WorkerRecord, ...]:
    """Every worker with its device, its workloads, and whether it is alive.

    Of its runs, only those of jobs that you may see are listed.
    """
    return store.workers.workers(visibility=principal.visibility)


@router.get("/{name}", summary="Get a worker", responses=_MISSING)
def get_worker(name: Name, store: StoreDep, principal: PrincipalDep) -> WorkerRecord:
    """One worker: its workloads, its runs, its last heartbeat, and whether it drains."""
    return store.workers.worker(name, visibility=principal.visibility)


@router.patch(
    "/{name}",
    summary="Update a worker: drain or reserve it",
    dependencies=[Depends(running_the_service)],
    responses=_FOR_ADMINS | problem_responses(catalog.BODY_TOO_LARGE, catalog.NOT_JSON),
)
def update_worker(
    name: Name, change: Annotated[WorkerChange, strict_body(WorkerChange)], store: StoreDep, actor: ActorDep
) -> WorkerRecord:
    """Drain a worker or stop draining it; reserve it for one team or release it. For the service's admins.

    The setting survives a restart of the worker.
    """
    return store.workers.set_worker(name, **change.model_dump(exclude_unset=True), by=actor)


@router.delete(
    "/{name}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Delete a worker",
    dependencies=[Depends(running_the_service)],
    responses=_FOR_ADMINS | problem_responses(catalog.STATE_CONFLICT),
)
def delete_worker(name: Name, store: StoreDep, actor: ActorDep) -> None:
    """Remove a worker that has ended from the list. For the service's admins.

    The service refuses to remove a worker that is alive: stop it first.
    """
    store.workers.forget(name, by=actor)
