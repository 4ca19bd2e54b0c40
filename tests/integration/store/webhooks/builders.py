"""What tests of webhooks ask of a store."""

from __future__ import annotations

from typing import Any

from tests.integration.store.builders import spec
from tuner.jobs.webhooks import (
    DeliveryResponse,
    DueDelivery,
    NewWebhook,
    WebhookEvent,
    next_attempt,
)
from tuner.people.permissions import Actor
from tuner.store import Store

SUBMITTED = (WebhookEvent.JOB_SUBMITTED,)
TAKEN = DeliveryResponse(status=204, error=None)
REFUSED = DeliveryResponse(status=503, error="the receiver answered 503")
ADA = Actor(user="ada", token_id="t-1", request_id="r-1")


def new(**changes: Any) -> NewWebhook:
    return NewWebhook.model_validate({"url": "https://example.org/hook", "events": SUBMITTED} | changes)


def submit(store: Store, count: int = 1, **changes: Any) -> None:
    for _ in range(count):
        store.jobs.submit(spec(**changes))


def claim(store: Store) -> DueDelivery:
    due = store.deliveries.claim(hold_seconds=60.0)
    assert due is not None
    return due


def record(store: Store, due: DueDelivery, response: DeliveryResponse) -> bool:
    return store.deliveries.record(
        due, response=response, outcome=next_attempt(response, attempt=due.attempt, jitter=0.5)
    )
