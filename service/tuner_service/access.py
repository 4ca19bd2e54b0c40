"""Authorization: dependencies for the routes.

Objects that the caller may not see lead to 404, as if they did not exist; objects that the caller may see but not
change lead to 403.
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
    """The caller, as the authentication set it; without it the request fails."""
    caller: Principal = request.state.principal
    return caller


PrincipalDep = Annotated[Principal, Depends(principal)]


async def actor(request: Request, principal: PrincipalDep) -> Actor:
    """The caller, for the audit log."""
    return Actor(user=principal.user, token_id=principal.token_id, request_id=request.state.request_id)


ActorDep = Annotated[Actor, Depends(actor)]


def require(role: Role) -> Callable[[Principal], Awaitable[None]]:
    """A dependency that requires a role.

    Args:
        role: The lowest role that is accepted, in any team.
    """

    async def check(principal: PrincipalDep) -> None:
        if not principal.role.includes(role):
            raise Forbidden(needed=f"the role {role.value}")

    return check


async def running_the_service(principal: PrincipalDep) -> None:
    """A dependency that requires an admin of the whole service.

    Raises:
        Forbidden: The caller is not one.
    """
    if not principal.runs_the_service:
        raise Forbidden(needed="to be an admin of the whole service")


def visible_job(job_id: Id, principal: PrincipalDep, store: StoreDep) -> JobRecord:
    """The job that the path names.

    Raises:
        NotFound: It does not exist, or the caller may not see it.
    """
    job = store.jobs.get(job_id)
    if not principal.visibility.covers(job):
        raise NotFound("job", key=job_id)
    return job


VisibleJob = Annotated[JobRecord, Depends(visible_job)]


async def changeable_job(job: VisibleJob, principal: PrincipalDep) -> JobRecord:
    """The job that the path names, if the caller may change it.

    Raises:
        NotFound: It does not exist, or the caller may not see it.
        Forbidden: The caller may only read it.
    """
    if not principal.may_change(job):
        raise Forbidden(needed=f"to be its owner ({job.owner}) or an admin of team {job.spec.team}")
    return job


ChangeableJob = Annotated[JobRecord, Depends(changeable_job)]


def visible_run(run_id: Id, principal: PrincipalDep, store: StoreDep) -> RunRecord:
    """The run that the path names.

    Raises:
        NotFound: It does not exist, or the caller may not see its job.
    """
    run = store.runs.get(run_id)
    if not principal.visibility.covers(store.jobs.get(run.job_id)):
        raise NotFound("run", key=run_id)
    return run


VisibleRun = Annotated[RunRecord, Depends(visible_run)]
