"""Records of teams, users, members, tokens and audit entries: frozen values that the store returns.

Times are seconds since 1970 UTC by the database's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tuner.jobs.priority import Priority
from tuner.people.permissions import Role

TEAM_NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$"
"""Pattern of team names."""
USER_NAME = r"^[a-z0-9][a-z0-9._@+-]{0,99}$"
"""Pattern of user names; lower case alone, so that no user passes for another."""


class TeamSettings(BaseModel):
    """A team's share of the devices, and its limits; ``None`` means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float = Field(
        default=1.0, gt=0, le=1e6, description="Share of the device time, relative to the other teams' weights."
    )
    highest_priority: Priority = Field(default=Priority.NORMAL, description="Highest class that its jobs may have.")
    max_running_runs: int | None = Field(default=None, ge=0, le=1_000_000, description="Runs of the team at a time.")
    max_open_jobs: int | None = Field(
        default=None, ge=0, le=1_000_000, description="Jobs of the team that have not ended."
    )
    device_hours_per_month: float | None = Field(
        default=None, ge=0, le=1e9, description="Device time of the team in a calendar month (UTC)."
    )
    user_max_running_runs: int | None = Field(default=None, ge=0, le=1_000_000, description="The same for each user.")
    user_max_open_jobs: int | None = Field(default=None, ge=0, le=1_000_000, description="The same for each user.")
    user_device_hours_per_month: float | None = Field(default=None, ge=0, le=1e9, description="The same for each user.")


@dataclass(frozen=True, kw_only=True)
class TeamRecord:
    """A team."""

    name: str
    settings: TeamSettings
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Member:
    """A user's role in a team."""

    team: str
    user: str
    role: Role


@dataclass(frozen=True, kw_only=True)
class UserRecord:
    """A user."""

    name: str
    admin: bool
    """Whether the user administers the service."""
    disabled: bool
    """Whether all of the user's tokens are refused."""
    memberships: tuple[Member, ...]
    """By team."""
    created_at: float


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """An API token, without its secret."""

    id: str
    user: str
    team: str | None
    """``None``: for every team; only tokens of admins of the service."""
    role: Role
    """The maximum; a lower role of the user in the team limits it."""
    label: str
    created_by: str
    parent_id: str | None
    """The token by which it was created, where that was not an admin's: it is revoked with it."""
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None
    """Accurate to a minute."""


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """An action of a user, in ascending ids."""

    id: int
    at: float
    actor: str
    """The user."""
    token_id: str | None
    request_id: str | None
    action: str
    """Dotted, as ``"job.cancel"``, ``"token.create"``."""
    target: str
    """Id or name of the object of the action."""
    team: str | None
    data: dict[str, Any]
    """The changed values; never a secret."""
