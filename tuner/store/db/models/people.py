"""Tables of teams, users, their tokens, and the audit log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from tuner.people.permissions import Role
from tuner.store.db.models.base import Base, Id, Name, Sequence, TeamName, enum_type


class Team(Base):
    """A team, with its weight and its limits."""

    __tablename__ = "tuner_teams"

    name: Mapped[str] = mapped_column(TeamName, primary_key=True)
    settings: Mapped[dict[str, Any]]
    created_at: Mapped[float]


class User(Base):
    """A user who can log in."""

    __tablename__ = "tuner_users"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    admin: Mapped[bool]
    disabled: Mapped[bool]
    created_at: Mapped[float]


class Membership(Base):
    """A user's role in a team."""

    __tablename__ = "tuner_memberships"

    team: Mapped[str] = mapped_column(TeamName, ForeignKey(Team.name), primary_key=True)
    user: Mapped[str] = mapped_column(Name, ForeignKey(User.name), primary_key=True)
    role: Mapped[Role] = mapped_column(enum_type(Role))


class Token(Base):
    """An API token; only the digest of its secret is stored."""

    __tablename__ = "tuner_tokens"
    __table_args__ = (Index(None, "user"), Index(None, "parent_id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user: Mapped[str] = mapped_column(Name, ForeignKey(User.name))
    team: Mapped[str | None] = mapped_column(TeamName, ForeignKey(Team.name))
    role: Mapped[Role] = mapped_column(enum_type(Role))
    label: Mapped[str] = mapped_column(Name)
    created_by: Mapped[str] = mapped_column(Name)
    parent_id: Mapped[str | None] = mapped_column(Id, ForeignKey("tuner_tokens.id"))
    """The token by which it was created, where that was neither a login nor an admin's: it is revoked with it."""
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    last_used_at: Mapped[float | None]


class BrowserSession(Base):
    """A browser's login; only the digest of its secret is stored. Logging out deletes it."""

    __tablename__ = "tuner_sessions"
    __table_args__ = (Index(None, "expires_at"), Index(None, "token_id"))

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    token_id: Mapped[str] = mapped_column(Id, ForeignKey(Token.id))
    created_at: Mapped[float]
    expires_at: Mapped[float]


class Audit(Base):
    """An action of a user, in ascending ids. Entries are never changed, nor deleted with their target."""

    __tablename__ = "tuner_audit"
    __table_args__ = (Index(None, "team", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Sequence, primary_key=True)
    at: Mapped[float]
    actor: Mapped[str] = mapped_column(Name)
    token_id: Mapped[str | None] = mapped_column(Id)
    request_id: Mapped[str | None] = mapped_column(Id)
    action: Mapped[str] = mapped_column(String(50))
    target: Mapped[str] = mapped_column(Name)
    team: Mapped[str | None] = mapped_column(TeamName)
    data: Mapped[dict[str, Any]]
