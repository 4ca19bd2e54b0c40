"""Path parameters that name teams and users, and the check of who may read or manage a team."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path

from tuner.errors import NotFound
from tuner.people.records import TEAM_NAME, USER_NAME
from tuner_service.access import PrincipalDep
from tuner_service.errors import Forbidden

UserName = Annotated[str, Path(pattern=USER_NAME, max_length=100, description="Name of the user.")]
TeamName = Annotated[str, Path(pattern=TEAM_NAME, max_length=100, description="Name of the team.")]


def readable_team(team: TeamName, principal: PrincipalDep) -> str:
    """The name of a team that the caller may read.

    Raises:
        NotFound: It is not the caller's team, whether it exists or not.
    """
    if principal.team not in (None, team):
        raise NotFound("team", key=team)
    return team


ReadableTeam = Annotated[str, Depends(readable_team)]


def managed_team(team: ReadableTeam, principal: PrincipalDep) -> str:
    """The name of a team whose members the caller may manage.

    Raises:
        NotFound: It is not the caller's team, whether it exists or not.
        Forbidden: The caller may only read it.
    """
    if not principal.may_manage(team):
        raise Forbidden(needed=f"to be an admin of team {team}")
    return team


ManagedTeam = Annotated[str, Depends(managed_team)]
