"""What the routes of webhooks take and give, beyond the library's own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from tuner.jobs.webhooks import DeliveryRecord, WebhookRecord
from tuner_service.webhooks.courier import Courier

CREATE_EXAMPLES: dict[str, Any] = {
    "json": {
        "summary": "Be told how jobs end",
        "value": {"url": "https://ci.example.org/hooks/tuner"},
    },
    "slack": {
        "summary": "Tell a Slack channel of jobs that fail",
        "value": {
            "url": "https://hooks.slack.com/services/T000/B000/secret",
            "format": "slack",
            "events": ["job.failed", "job.limit_reached"],
        },
    },
}
CHANGE_EXAMPLES: dict[str, Any] = {
    "events": {"summary": "Be told of more", "value": {"events": ["job.started", "job.completed", "job.failed"]}},
    "off": {"summary": "Be told no more", "value": {"enabled": False}},
}
WEBHOOK_EXAMPLE: dict[str, Any] = {
    "id": "5f0c8f3e-6f0e-4a55-9d0b-3f4c2f9a7f10",
    "team": "vision",
    "url": "https://ci.example.org/hooks/tuner",
    "format": "json",
    "events": ["job.completed", "job.failed", "job.cancelled", "job.limit_reached"],
    "enabled": True,
    "key_version": 1,
    "created_by": "ada",
    "created_at": 1790000000.0,
}
KEY_EXAMPLE: dict[str, Any] = {"webhook": WEBHOOK_EXAMPLE, "key": "stwh_" + "9c56cc51b374c3ba189210d5b6d4bf57" * 2}
TEST_EXAMPLE: dict[str, Any] = {"delivered": True, "status": 204, "error": None, "event_id": "test-0b6f7a52"}
DELIVERIES_EXAMPLE: dict[str, Any] = {
    "items": [
        {
            "id": "3d7a0f0e-8f55-4c0c-a0d5-0d6e3f1f2a11",
            "webhook_id": WEBHOOK_EXAMPLE["id"],
            "event_id": "4711",
            "type": "job.completed",
            "job_id": "0f9b9a3c-1d2e-4f50-8a6b-7c8d9e0f1a2b",
            "state": "pending",
            "attempts": 2,
            "next_attempt_at": 1790000042.5,
            "last_status": 503,
            "last_error": "the receiver answered 503",
            "created_at": 1790000000.0,
            "finished_at": None,
        }
    ],
    "next_cursor": None,
}


@dataclass(frozen=True, kw_only=True)
class WebhookWithKey:
    """A webhook with its signing key, which is shown this once."""

    webhook: WebhookRecord
    key: str
    """Give it to the receiver, which checks signatures with it."""

    @classmethod
    def of(cls, webhook: WebhookRecord, *, courier: Courier) -> Self:
        """A webhook with its present key."""
        return cls(webhook=webhook, key=courier.key(webhook.id, version=webhook.key_version))


@dataclass(frozen=True, kw_only=True)
class TestAnswer:
    """What came of a try."""

    __test__ = False  # no test case of pytest's

    delivered: bool
    status: int | None
    """HTTP status of the receiver's answer; ``None`` when none came."""
    error: str | None
    """Why it was not delivered."""
    event_id: str
    """What the receiver got as the event's id."""


@dataclass(frozen=True, kw_only=True)
class DeliveryPage:
    """Some deliveries, the newest event first."""

    items: tuple[DeliveryRecord, ...]
    next_cursor: str | None
    """Give it as ``cursor`` to get those that follow; ``None`` on the last page."""
