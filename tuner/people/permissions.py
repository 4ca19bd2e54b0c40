"""Permissions: what each role may do, and which jobs a viewer may see. Pure: the service checks, the store filters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tuner.jobs.records import JobRecord


class Role(StrEnum):
    """What a user may do in a team; each role includes those before it."""

    VIEWER = "viewer"
    """Read the team's jobs and shared ones."""
    SUBMITTER = "submitter"
    """Submit jobs for the team; change, pause and cancel their own."""
    ADMIN = "admin"
    """Do so with every job of the team; manage its members and their tokens."""

    def includes(self, other: Role) -> bool:
        """Whether this role allows all that ``other`` allows."""
        order = tuple(Role)
        return order.index(self) >= order.index(other)


def least(one: Role, other: Role) -> Role:
    """The lower of two roles."""
    return other if one.includes(other) else one


@dataclass(frozen=True, kw_only=True)
class Visibility:
    """Which jobs a viewer may see: those of the viewer's teams, and shared ones."""

    teams: frozenset[str] | None
    """``None``: every team's."""

    def covers(self, job: JobRecord) -> bool:
        """Whether a job may be seen."""
        return self.teams is None or job.spec.team in self.teams or job.spec.shared


EVERYTHING = Visibility(teams=None)


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The user of a request, and the user's rights."""

    user: str
    team: str | None
    """The team of the rights; ``None``: every team, and what belongs to none (workers, teams, users)."""
    role: Role
    token_id: str | None
    """``None`` where authentication is off."""

    @property
    def visibility(self) -> Visibility:
        """The jobs that the user may see."""
        return EVERYTHING if self.team is None else Visibility(teams=frozenset({self.team}))

    @property
    def runs_the_service(self) -> bool:
        """Whether the user administers the whole service."""
        return self.team is None and self.role is Role.ADMIN

    def may_submit_for(self, team: str) -> bool:
        """Whether the user may submit jobs for a team."""
        return self.role.includes(Role.SUBMITTER) and self.team in (None, team)

    def may_change(self, job: JobRecord) -> bool:
        """Whether the user may change, pause, cancel, retry and delete a job."""
        if self.team not in (None, job.spec.team):
            return False
        return self.role is Role.ADMIN or (self.role is Role.SUBMITTER and job.owner == self.user)

    def may_manage(self, team: str) -> bool:
        """Whether the user may manage a team's members and tokens."""
        return self.role is Role.ADMIN and self.team in (None, team)


@dataclass(frozen=True, kw_only=True)
class Actor:
    """The user and token behind an action, for the audit log."""

    user: str
    token_id: str | None = None
    request_id: str | None = None


LOCAL_USER = "local"
"""Every user, where authentication is off."""
LOCAL = Principal(user=LOCAL_USER, team=None, role=Role.ADMIN, token_id=None)
LOCAL_ACTOR = Actor(user=LOCAL_USER)
