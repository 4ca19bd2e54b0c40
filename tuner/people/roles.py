"""Who may do what. Pure: the service asks, the store keeps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tuner.jobs.records import EVERYTHING, JobRecord, Visibility


class Role(StrEnum):
    """What somebody may do in a team; each may what those before it may."""

    VIEWER = "viewer"
    """Look at the team's jobs and at shared ones."""
    SUBMITTER = "submitter"
    """Submit jobs for the team, and change, pause and cancel their own."""
    ADMIN = "admin"
    """Do that with every job of the team, and manage its members and their tokens."""

    def includes(self, other: Role) -> bool:
        """Whether whoever has this role may do what ``other`` may."""
        order = tuple(Role)
        return order.index(self) >= order.index(other)


def least(one: Role, other: Role) -> Role:
    """The lower of two roles."""
    return other if one.includes(other) else one


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who makes a request, and with which rights."""

    user: str
    team: str | None
    """The team that the rights are for; ``None``: every team, and what belongs to none (workers, teams, users)."""
    role: Role
    token_id: str | None
    """``None`` where nobody logs in."""

    @property
    def visibility(self) -> Visibility:
        """The jobs that may be seen."""
        return EVERYTHING if self.team is None else Visibility(teams=frozenset({self.team}))

    @property
    def runs_the_service(self) -> bool:
        """Whether everything is allowed."""
        return self.team is None and self.role is Role.ADMIN

    def may_submit_for(self, team: str) -> bool:
        """Whether a job of this team may be submitted."""
        return self.role.includes(Role.SUBMITTER) and self.team in (None, team)

    def may_change(self, job: JobRecord) -> bool:
        """Whether a job may be changed, paused, cancelled, tried again, deleted."""
        if self.team not in (None, job.spec.team):
            return False
        return self.role is Role.ADMIN or (self.role is Role.SUBMITTER and job.owner == self.user)

    def may_manage(self, team: str) -> bool:
        """Whether members and tokens of a team may be managed."""
        return self.role is Role.ADMIN and self.team in (None, team)


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who did something, for the audit log."""

    user: str
    token_id: str | None = None
    request_id: str | None = None


LOCAL_USER = "local"
"""Everybody, where nobody logs in."""
LOCAL = Principal(user=LOCAL_USER, team=None, role=Role.ADMIN, token_id=None)
LOCAL_ACTOR = Actor(user=LOCAL_USER)
