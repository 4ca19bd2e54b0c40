"""Wire types of users, tokens and the audit log: what ``/v1/me``, ``/v1/users``, ``/v1/tokens``, ... use."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from tuner.people.permissions import Role
from tuner.people.records import TEAM_NAME, USER_NAME, AuditRecord, Member, TokenRecord
from tuner.people.tokens import MAX_LIFETIME_SECONDS

DAY_SECONDS = 86_400.0
DEFAULT_LIFETIME_DAYS = 90.0
MAX_LIFETIME_DAYS = MAX_LIFETIME_SECONDS / DAY_SECONDS


@dataclass(frozen=True, kw_only=True)
class Me:
    """The caller's identity and rights, as the service sees them."""

    user: str
    team: str | None
    """The team that the rights apply to; ``None``: every team."""
    role: Role
    token_id: str | None
    """``None`` where no login is required."""
    runs_the_service: bool
    """Whether the caller is an admin of the whole service."""
    memberships: tuple[Member, ...]
    """All teams of the user; the token may be for one of them alone."""
    csrf_token: str | None
    """Value of the header X-CSRF-Token for changes from a browser session; ``None`` without a session."""


class MemberRole(BaseModel):
    """A user's role in a team."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role = Field(description="What the user may do in the team.")


class UserChange(BaseModel):
    """Changes to a user. Absent fields stay as they are, and are false for a new user."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    admin: bool | None = Field(default=None, description="Whether the user is an admin of the whole service.")
    disabled: bool | None = Field(default=None, description="Whether all tokens of the user are refused.")


class TokenRequest(BaseModel):
    """A request for a new token. Absent fields are those of the token that authenticates the request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str | None = Field(
        default=None, max_length=100, pattern=USER_NAME, description="The user of the token; your own when absent."
    )
    team: str | None = Field(
        default=None,
        max_length=100,
        pattern=TEAM_NAME,
        description="The team of the token; when absent that of the calling token, which may be every team.",
    )
    role: Role | None = Field(default=None, description="The highest role of the token; your own when absent.")
    label: str = Field(default="", max_length=200, description="What the token is for.")
    lifetime_days: float | None = Field(
        default=DEFAULT_LIFETIME_DAYS,
        gt=0,
        le=MAX_LIFETIME_DAYS,
        description="Days until it expires; null for a token that does not expire, which only admins may create.",
    )


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A new token with its secret."""

    token: TokenRecord
    secret: str
    """Sent as a bearer token. The service shows it only once and stores only its hash."""


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """One page of the audit log, the latest entry first."""

    items: tuple[AuditRecord, ...]
    next_cursor: str | None
    """Pass it as ``cursor`` to get the next page; ``None`` on the last page."""
