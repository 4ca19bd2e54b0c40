"""``/v1/workers``: who trains, for whom, and whether it goes on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from tuner.jobs.records import WorkerRecord
from tuner_service.access import ActorDep, PrincipalDep, running_the_service
from tuner_service.examples import WORKER, answer
from tuner_service.json_body import strictly
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/workers", tags=["workers"])

Name = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$", description="The worker's name.")]

_MISSING = declared(catalog.NOT_FOUND)
_FOR_ADMINS = declared(catalog.FORBIDDEN, catalog.NOT_FOUND)
_EXAMPLES: dict[str, Any] = {
    "drain": {"summary": "End the run that it has, and take no further one", "value": {"draining": True}},
    "reserve": {"summary": "Take jobs of one team alone", "value": {"reserved_for": "vision"}},
}


class WorkerChange(BaseModel):
    """What is to change about a worker. What is left out stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    draining: bool | None = Field(
        default=None, description="Whether it ends the run that it has and takes no further one."
    )
    reserved_for: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="The only team whose jobs it takes; `null`: everybody's.",
    )


@router.get("", summary="List workers", responses=answer((WORKER,)))
def list_workers(store: StoreDep, asking: PrincipalDep) -> tuple[WorkerRecord, ...]:
    """Every worker that the database knows: its device, what it offers, and whether it is alive.

    Of the runs that it holds, those of jobs that you may see.
    """
    return store.workers.workers(visibility=asking.visibility)


@router.get("/{name}", summary="Show a worker", responses=_MISSING | answer(WORKER))
def show_worker(name: Name, store: StoreDep, asking: PrincipalDep) -> WorkerRecord:
    """One worker: what it offers, what it runs, when it was last heard of, whether it drains."""
    return store.workers.worker(name, visibility=asking.visibility)


@router.patch(
    "/{name}",
    summary="Change a worker",
    dependencies=[Depends(running_the_service)],
    responses=_FOR_ADMINS | declared(catalog.BODY_TOO_LARGE, catalog.NOT_JSON) | answer(WORKER),
)
def change_worker(
    name: Name,
    change: Annotated[WorkerChange, strictly(WorkerChange), Body(openapi_examples=_EXAMPLES)],
    store: StoreDep,
    by: ActorDep,
) -> WorkerRecord:
    """Have a worker drain, or take it back; reserve it for a team, or give it to everybody. For the service's admins.

    What is decided here outlives a restart of the worker.
    """
    return store.workers.set_worker(name, **change.model_dump(exclude_unset=True), by=by)


@router.delete(
    "/{name}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Forget a worker",
    dependencies=[Depends(running_the_service)],
    responses=_FOR_ADMINS | declared(catalog.STATE_CONFLICT),
)
def forget_worker(name: Name, store: StoreDep, by: ActorDep) -> None:
    """Take a worker that is gone off the list. For the service's admins.

    One that is alive is refused: stop it first.
    """
    store.workers.forget(name, by=by)
