"""Teams and users as paths name them, and who may see and manage a team."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path

from tuner.errors import NotFound
from tuner.people.records import TEAM_NAME, USER_NAME
from tuner_service.access import PrincipalDep
from tuner_service.errors import Forbidden

UserName = Annotated[str, Path(pattern=USER_NAME, max_length=100, description="Name of the user.")]
TeamName = Annotated[str, Path(pattern=TEAM_NAME, max_length=100, description="Name of the team.")]


def readable_team(team: TeamName, asking: PrincipalDep) -> str:
    """The name of a team, for those who may see it.

    Raises:
        NotFound: It is another team's than that of whoever asks, whether there is one or not.
    """
    if asking.team not in (None, team):
        raise NotFound("team", key=team)
    return team


ReadableTeam = Annotated[str, Depends(readable_team)]


def managed_team(team: ReadableTeam, asking: PrincipalDep) -> str:
    """The name of a team, for those who manage its members.

    Raises:
        NotFound: It is another team's than that of whoever asks, whether there is one or not.
        Forbidden: They may see it, and no more.
    """
    if not asking.may_manage(team):
        raise Forbidden(needed=f"to be an admin of team {team}")
    return team


ManagedTeam = Annotated[str, Depends(managed_team)]
