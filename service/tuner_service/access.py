"""Who asks, and whether they may: dependencies for the routes.

What somebody may not see is answered as if it were not there; what they may see and not change is forbidden.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from tuner.errors import NotFound
from tuner.jobs.records import JobRecord, RunRecord
from tuner.people.permissions import Actor, Principal, Role
from tuner_service.errors import Forbidden
from tuner_service.resources import Id, StoreDep


async def principal(request: Request) -> Principal:
    """Who makes this request; the authentication has put it there, and where it has not, nobody gets through."""
    found: Principal = request.state.principal
    return found


PrincipalDep = Annotated[Principal, Depends(principal)]


async def actor(request: Request, asking: PrincipalDep) -> Actor:
    """The same, for the audit log."""
    return Actor(user=asking.user, token_id=asking.token_id, request_id=request.state.request_id)


ActorDep = Annotated[Actor, Depends(actor)]


def require(role: Role) -> Callable[[Principal], Awaitable[None]]:
    """A dependency that forbids a route to those whose role is below.

    Args:
        role: The least role, in whatever team.
    """

    async def check(asking: PrincipalDep) -> None:
        if not asking.role.includes(role):
            raise Forbidden(needed=f"the role {role.value}")

    return check


async def running_the_service(asking: PrincipalDep) -> None:
    """A dependency that leaves a route to those who run the service.

    Raises:
        Forbidden: Somebody else asks.
    """
    if not asking.runs_the_service:
        raise Forbidden(needed="to be an admin of the whole service")


def visible_job(job_id: Id, asking: PrincipalDep, store: StoreDep) -> JobRecord:
    """The job that the path names.

    Raises:
        NotFound: There is none, or none that whoever asks may see.
    """
    job = store.jobs.get(job_id)
    if not asking.visibility.covers(job):
        raise NotFound("job", key=job_id)
    return job


VisibleJob = Annotated[JobRecord, Depends(visible_job)]


async def changeable_job(job: VisibleJob, asking: PrincipalDep) -> JobRecord:
    """The job that the path names, for those who may change it.

    Raises:
        NotFound: There is none, or none that whoever asks may see.
        Forbidden: They may see it, and no more.
    """
    if not asking.may_change(job):
        raise Forbidden(needed=f"to be its owner ({job.owner}) or an admin of team {job.spec.team}")
    return job


ChangeableJob = Annotated[JobRecord, Depends(changeable_job)]


def visible_run(run_id: Id, asking: PrincipalDep, store: StoreDep) -> RunRecord:
    """The run that the path names.

    Raises:
        NotFound: There is none, or its job is none that whoever asks may see.
    """
    run = store.runs.get(run_id)
    if not asking.visibility.covers(store.jobs.get(run.job_id)):
        raise NotFound("run", key=run_id)
    return run


VisibleRun = Annotated[RunRecord, Depends(visible_run)]
