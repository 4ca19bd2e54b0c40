"""Wire types of webhooks: what ``/v1/webhooks`` returns."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.jobs.webhooks import DeliveryRecord, WebhookRecord


@dataclass(frozen=True, kw_only=True)
class WebhookWithKey:
    """A webhook with its signing key, which the service shows only once."""

    webhook: WebhookRecord
    key: str
    """The receiver verifies signatures with it."""


@dataclass(frozen=True, kw_only=True)
class WebhookTest:
    """The result of a test delivery."""

    delivered: bool
    status: int | None
    """HTTP status of the receiver's response; ``None`` without a response."""
    error: str | None
    """Why it was not delivered."""
    event_id: str
    """The event's id in the test delivery."""


@dataclass(frozen=True, kw_only=True)
class DeliveryPage:
    """One page of deliveries, the newest event first."""

    items: tuple[DeliveryRecord, ...]
    next_cursor: str | None
    """Pass it as ``cursor`` to get the next page; ``None`` on the last page."""
