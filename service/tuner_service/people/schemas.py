"""What the routes of people take and give, beyond the library's own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tuner.people.permissions import Role
from tuner.people.records import (
    TEAM_NAME,
    USER_NAME,
    AuditRecord,
    Member,
    TeamRecord,
    TeamSettings,
    TokenRecord,
    UserRecord,
)
from tuner.store.people.tokens import MAX_LIFETIME_SECONDS

DAY_SECONDS = 86_400.0
DEFAULT_LIFETIME_DAYS = 90.0
MAX_LIFETIME_DAYS = MAX_LIFETIME_SECONDS / DAY_SECONDS


@dataclass(frozen=True, kw_only=True)
class Me:
    """Who the service takes its caller for, and with which rights."""

    user: str
    team: str | None
    """The team that the rights are for; ``None``: every team."""
    role: Role
    token_id: str | None
    """``None`` where nobody logs in."""
    runs_the_service: bool
    """Whether everything is allowed."""
    memberships: tuple[Member, ...]
    """All teams of the user; the token may be for one of them alone."""
    csrf_token: str | None
    """What a page sends in X-CSRF-Token with every change; ``None`` without a browser's session."""


class MemberRole(BaseModel):
    """A user's role in a team."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role = Field(description="What the user may do in the team.")


class UserChange(BaseModel):
    """What to make of a user; what is left out stays as it is, and is false for a new one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    admin: bool | None = Field(default=None, description="Whether the user runs the service and may do everything.")
    disabled: bool | None = Field(default=None, description="Whether none of the user's tokens is good.")


class TokenRequest(BaseModel):
    """A token that is wanted; with nothing said, one like the token that asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str | None = Field(
        default=None, max_length=100, pattern=USER_NAME, description="Whose it is; your own when absent."
    )
    team: str | None = Field(
        default=None,
        max_length=100,
        pattern=TEAM_NAME,
        description="The team that it is for; when absent that of the token that asks, which may be every team.",
    )
    role: Role | None = Field(default=None, description="How much it allows; as much as you may, when absent.")
    label: str = Field(default="", max_length=200, description="What it is for.")
    lifetime_days: float | None = Field(
        default=DEFAULT_LIFETIME_DAYS,
        gt=0,
        le=MAX_LIFETIME_DAYS,
        description="Days until it expires; null for never, which only admins may say.",
    )


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token that was just made."""

    token: TokenRecord
    secret: str
    """What to send as a bearer token. It is shown this once, and stored nowhere."""


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """Some entries of the audit log, the latest first."""

    items: tuple[AuditRecord, ...]
    next_cursor: str | None
    """Give it as ``cursor`` to get the entries that follow; ``None`` on the last page."""


_AT = 1_760_000_000.0
_TOKEN = "2f0c1a52-6a0e-4f3e-9d61-0a6d3c0c9b11"
TEAM = TeamRecord(name="vision", settings=TeamSettings(weight=2.0, max_running_runs=8), created_at=_AT)
MEMBER = Member(team="vision", user="ada", role=Role.SUBMITTER)
USER = UserRecord(name="ada", admin=False, disabled=False, memberships=(MEMBER,), created_at=_AT)
TOKEN = TokenRecord(
    id=_TOKEN,
    user="ada",
    team="vision",
    role=Role.SUBMITTER,
    label="laptop",
    created_by="ben",
    created_at=_AT,
    expires_at=_AT + DEFAULT_LIFETIME_DAYS * DAY_SECONDS,
    revoked_at=None,
    last_used_at=_AT + 60,
)
NEW_TOKEN = NewToken(token=TOKEN, secret="stt_shown-this-once")
ME = Me(
    user="ada",
    team="vision",
    role=Role.SUBMITTER,
    token_id=_TOKEN,
    runs_the_service=False,
    memberships=(MEMBER,),
    csrf_token=None,
)
AUDIT_PAGE = AuditPage(
    items=(
        AuditRecord(
            id=41,
            at=_AT,
            actor="ben",
            token_id=_TOKEN,
            request_id="8a9a1a52-0d6e-4f3e-9d61-0a6d3c0c9b11",
            action="member.put",
            target="ada",
            team="vision",
            data={"role": "submitter"},
        ),
    ),
    next_cursor=None,
)


def asked(value: dict[str, Any]) -> dict[str, Any]:
    """The example of a body, as the framework takes it."""
    return {"usual": {"summary": "As usual", "value": value}}
