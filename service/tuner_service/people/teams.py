"""``/v1/teams``: teams, their shares of the devices, their limits and their members."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends

from tuner.api.people import MemberRole
from tuner.people.records import Member, TeamRecord, TeamSettings
from tuner_service.access import ActorDep, PrincipalDep, running_the_service
from tuner_service.json_body import StrictRoute, strict_body
from tuner_service.people.names import ManagedTeam, ReadableTeam, TeamName, UserName
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import ResourcesDep, StoreDep

router = APIRouter(prefix="/teams", tags=["people"], route_class=StrictRoute)

_MISSING = problem_responses(catalog.NOT_FOUND, catalog.INVALID_REQUEST)
_FORBIDDEN = problem_responses(catalog.FORBIDDEN)
_BODY = problem_responses(catalog.INVALID_REQUEST, catalog.BODY_TOO_LARGE, catalog.NOT_JSON)


@router.get("", summary="List teams")
def list_teams(principal: PrincipalDep, store: StoreDep) -> tuple[TeamRecord, ...]:
    """All teams for a token that is for every team; otherwise your own."""
    return tuple(team for team in store.people.teams() if principal.team in (None, team.name))


@router.get("/{team}", summary="Get a team", responses=_MISSING)
def get_team(team: ReadableTeam, store: StoreDep) -> TeamRecord:
    """A team's share of the devices, and its limits."""
    return store.people.team(team)


@router.put(
    "/{team}",
    summary="Create or update a team",
    dependencies=[Depends(running_the_service)],
    responses=_FORBIDDEN | _BODY,
)
def put_team(
    team: TeamName,
    settings: Annotated[TeamSettings, strict_body(TeamSettings)],
    actor: ActorDep,
    store: StoreDep,
) -> TeamRecord:
    """Set the share and all limits of a team: absent fields take their defaults. For the service's admins."""
    return store.people.put_team(team, settings, by=actor)


@router.delete(
    "/{team}",
    summary="Delete a team",
    status_code=HTTPStatus.NO_CONTENT,
    dependencies=[Depends(running_the_service)],
    responses=_MISSING | _FORBIDDEN | problem_responses(catalog.STATE_CONFLICT),
)
def delete_team(team: TeamName, actor: ActorDep, resources: ResourcesDep) -> None:
    """Refused while the team has jobs, members, valid tokens or webhooks. For the service's admins."""
    resources.store.people.delete_team(team, by=actor)
    resources.authenticator.forget()


@router.get("/{team}/members", summary="List a team's members", responses=_MISSING)
def list_members(team: ReadableTeam, store: StoreDep) -> tuple[Member, ...]:
    """The members of the team and their roles."""
    return store.people.members(team)


@router.put(
    "/{team}/members/{user}",
    summary="Add a member to a team, or change the role",
    responses=problem_responses(catalog.NOT_FOUND) | _FORBIDDEN | _BODY,
)
def put_member(
    team: ManagedTeam,
    user: UserName,
    request: Annotated[MemberRole, strict_body(MemberRole)],
    actor: ActorDep,
    resources: ResourcesDep,
) -> Member:
    """The user's tokens for the team then grant at most this role. For the team's admins."""
    member = resources.store.people.put_member(team, user, request.role, by=actor)
    resources.authenticator.forget()
    return member


@router.delete(
    "/{team}/members/{user}",
    summary="Remove a member from a team",
    status_code=HTTPStatus.NO_CONTENT,
    responses=_MISSING | _FORBIDDEN,
)
def remove_member(team: ManagedTeam, user: UserName, actor: ActorDep, resources: ResourcesDep) -> None:
    """The user's tokens for the team are revoked; the user's jobs stay with the team. For the team's admins."""
    resources.store.people.remove_member(team, user, by=actor)
    resources.authenticator.forget()
