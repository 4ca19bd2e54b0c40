"""``/v1/teams``: who shares the devices, how much of them, and who belongs to whom."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Depends

from tuner.people.records import Member, TeamRecord, TeamSettings
from tuner_service.access import ActorDep, PrincipalDep, running_the_service
from tuner_service.examples import answer
from tuner_service.json_body import strictly
from tuner_service.people import schemas
from tuner_service.people.names import ManagedTeam, ReadableTeam, TeamName, UserName
from tuner_service.people.schemas import MEMBER, TEAM, MemberRole
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import ResourcesDep, StoreDep

router = APIRouter(prefix="/teams", tags=["people"])

_MISSING = declared(catalog.NOT_FOUND, catalog.INVALID_REQUEST)
_FORBIDDEN = declared(catalog.FORBIDDEN)
_BODY = declared(catalog.INVALID_REQUEST, catalog.BODY_TOO_LARGE, catalog.NOT_JSON)
_SETTINGS = schemas.asked({"weight": 2.0, "highest_priority": "high", "max_running_runs": 8})
_ROLE = schemas.asked({"role": "submitter"})


@router.get("", summary="List teams", responses=answer([TEAM]))
def list_teams(asking: PrincipalDep, store: StoreDep) -> tuple[TeamRecord, ...]:
    """All teams for those whose token is for every team; else your own."""
    return tuple(team for team in store.people.teams() if asking.team in (None, team.name))


@router.get("/{team}", summary="Show a team", responses={**answer(TEAM), **_MISSING})
def show_team(team: ReadableTeam, store: StoreDep) -> TeamRecord:
    """Its share of the devices, and its limits."""
    return store.people.team(team)


@router.put(
    "/{team}",
    summary="Make or change a team",
    dependencies=[Depends(running_the_service)],
    responses={**answer(TEAM), **_FORBIDDEN, **_BODY},
)
def put_team(
    team: TeamName,
    settings: Annotated[TeamSettings, strictly(TeamSettings), Body(openapi_examples=_SETTINGS)],
    by: ActorDep,
    store: StoreDep,
) -> TeamRecord:
    """Give a team its share and limits, all of them: what is left out gets its default. For the service's admins."""
    return store.people.put_team(team, settings, by=by)


@router.delete(
    "/{team}",
    summary="Delete a team",
    status_code=HTTPStatus.NO_CONTENT,
    dependencies=[Depends(running_the_service)],
    responses={**_MISSING, **_FORBIDDEN, **declared(catalog.STATE_CONFLICT)},
)
def delete_team(team: TeamName, by: ActorDep, resources: ResourcesDep) -> None:
    """Refused while it has jobs, members, tokens that are good, or webhooks. For the service's admins."""
    resources.store.people.delete_team(team, by=by)
    resources.guard.forget()


@router.get("/{team}/members", summary="List a team's members", responses={**answer([MEMBER]), **_MISSING})
def list_members(team: ReadableTeam, store: StoreDep) -> tuple[Member, ...]:
    """Who belongs to the team, and in which role."""
    return store.people.members(team)


@router.put(
    "/{team}/members/{user}",
    summary="Take a user into a team",
    responses={**answer(MEMBER), **declared(catalog.NOT_FOUND), **_FORBIDDEN, **_BODY},
)
def put_member(
    team: ManagedTeam,
    user: UserName,
    request: Annotated[MemberRole, strictly(MemberRole), Body(openapi_examples=_ROLE)],
    by: ActorDep,
    resources: ResourcesDep,
) -> Member:
    """Or give a member another role; the user's tokens allow no more than it from then on. For the team's admins."""
    member = resources.store.people.put_member(team, user, request.role, by=by)
    resources.guard.forget()
    return member


@router.delete(
    "/{team}/members/{user}",
    summary="Take a user out of a team",
    status_code=HTTPStatus.NO_CONTENT,
    responses={**_MISSING, **_FORBIDDEN},
)
def remove_member(team: ManagedTeam, user: UserName, by: ActorDep, resources: ResourcesDep) -> None:
    """The user's tokens for the team are revoked; the user's jobs stay the team's. For the team's admins."""
    resources.store.people.remove_member(team, user, by=by)
    resources.guard.forget()
