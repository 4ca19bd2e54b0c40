"""Tables of webhooks and their deliveries."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tuner.store.db.models.base import Base, Id, Name, TeamName
from tuner.store.db.models.people import Team


class Webhook(Base):
    """A receiver of a team's job events. Its signing key is derived and never stored."""

    __tablename__ = "tuner_webhooks"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    team: Mapped[str | None] = mapped_column(TeamName, ForeignKey(Team.name))
    url: Mapped[str]
    format: Mapped[str] = mapped_column(String(16))
    events: Mapped[list[str]]
    enabled: Mapped[bool]
    key_version: Mapped[int] = mapped_column(Integer)
    after_event: Mapped[int]
    """Events up to this id have been enqueued or skipped."""
    created_by: Mapped[str] = mapped_column(Name)
    created_at: Mapped[float]


class Delivery(Base):
    """The delivery of one event to one webhook."""

    __tablename__ = "tuner_deliveries"
    __table_args__ = (UniqueConstraint("webhook_id", "event_id"), Index(None, "state", "due_at"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    webhook_id: Mapped[str] = mapped_column(Id, ForeignKey(Webhook.id))
    event_id: Mapped[int]
    body: Mapped[dict[str, Any]]
    """The event, stored here so that it outlives its job."""
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[float]
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str | None]
    created_at: Mapped[float]
    finished_at: Mapped[float | None]
