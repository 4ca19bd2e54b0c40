"""docs/webhooks.md: its code verifies real deliveries, and its statements are true."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.service.receiver import Got, Receiver, receiving
from tests.integration.service.world import World
from tuner.jobs.webhooks import (
    DEFAULT_EVENTS,
    FIRST_WAIT_SECONDS,
    MAX_ATTEMPTS,
    WAIT_FACTOR,
    NewWebhook,
    WebhookEvent,
    WebhookFormat,
)
from tuner.store import Store
from tuner_service.webhooks.dispatcher import Dispatcher
from tuner_service.webhooks.sender import TIMEOUT_SECONDS, WebhookSender

PAGE = (Path(__file__).parents[4] / "docs" / "webhooks.md").read_text(encoding="utf-8")
SECRET = b"a secret of the service, 32 bytes"


@pytest.fixture(scope="module")
def code() -> dict[str, Any]:
    """What the page's Python defines, run as one module."""
    namespace: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    exec(compile("\n".join(blocks), "docs/webhooks.md", "exec"), namespace)
    return namespace


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def sender(clock: Callable[[], float] = time.time) -> WebhookSender:
    return WebhookSender(secret=SECRET, allow_private=True, clock=clock)


def deliver(receiver: Receiver, **changes: Any) -> Got:
    """Send an event with letters that take several bytes, and give what came."""
    event = {"id": "7", "type": "job.failed", "at": 1.5, "job": {"name": "größer"}, "data": {"reason": "✗"}}
    values: dict[str, Any] = {
        "webhook_id": "w",
        "url": receiver.url,
        "webhook_format": WebhookFormat.JSON,
        "key_version": 1,
    }
    assert sender(changes.pop("clock", time.time)).deliver(event, **values | changes).error is None
    return receiver.got[-1]


def test_the_receivers_code_accepts_a_delivery(code: dict[str, Any], receiver: Receiver):
    got = deliver(receiver)
    assert code["is_authentic"](got.headers, got.body, key=sender().key("w", version=1))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda got: (got.headers, got.body + b" "),
        lambda got: (got.headers, got.body.replace(b"failed", b"passed")),
        lambda got: (got.headers | {"webhook-timestamp": str(int(got.headers["webhook-timestamp"]) + 1)}, got.body),
        lambda got: (got.headers | {"webhook-timestamp": "soon"}, got.body),
        lambda got: (got.headers | {"webhook-timestamp": ""}, got.body),
        lambda got: (got.headers | {"webhook-signature": "v1," + "A" * 43 + "="}, got.body),
        lambda got: (got.headers | {"webhook-signature": "é"}, got.body),
        lambda got: (got.headers | {"webhook-id": "8"}, got.body),
        lambda got: ({}, got.body),
    ],
)
def test_it_refuses_modified_deliveries(
    code: dict[str, Any], receiver: Receiver, spoil: Callable[[Got], tuple[dict[str, str], bytes]]
):
    headers, body = spoil(deliver(receiver))
    assert not code["is_authentic"](headers, body, key=sender().key("w", version=1))


@pytest.mark.parametrize(("webhook_id", "version"), [("w", 2), ("other", 1)])
def test_it_refuses_deliveries_signed_with_another_key(
    code: dict[str, Any], receiver: Receiver, webhook_id: str, version: int
):
    got = deliver(receiver)
    assert not code["is_authentic"](got.headers, got.body, key=sender().key(webhook_id, version=version))


@pytest.mark.parametrize("seconds", [-400, 400])
def test_it_refuses_replayed_deliveries(code: dict[str, Any], receiver: Receiver, seconds: int):
    got = deliver(receiver, clock=lambda: time.time() + seconds)
    assert not code["is_authentic"](got.headers, got.body, key=sender().key("w", version=1))


def test_a_receiver_written_as_the_page_says_processes_repeated_events_once(
    code: dict[str, Any], receiver: Receiver, store: Store, world: World
):
    made = store.webhooks.create(NewWebhook.model_validate({"url": receiver.url, "events": ["job.submitted"]}))
    key = sender().key(made.id, version=made.key_version)
    seen, worked = code["Seen"](), []

    def answer(got: Got) -> int:
        if not code["is_authentic"](got.headers, got.body, key=key):
            return 403
        if seen.is_new(got.event_id):
            worked.append(got.event["job"]["id"])
        return 204

    receiver.answer = answer
    jobs = [world.job().id for _ in range(3)]
    dispatcher = Dispatcher(store, sender=sender())
    dispatcher.enqueue()
    dispatcher.deliver_due()
    for got in list(receiver.got):  # as after a crash between sending and noting it
        repeated = sender().deliver(
            got.event, webhook_id=made.id, url=made.url, webhook_format=made.format, key_version=1
        )
        assert repeated.status == 204
    assert worked == jobs
    assert len(receiver.got) == 6


def test_the_example_has_the_fields_of_what_is_sent(receiver: Receiver, store: Store, world: World):
    store.webhooks.create(NewWebhook.model_validate({"url": receiver.url, "events": ["job.cancelled"]}))
    store.jobs.cancel(world.job().id, reason="enough")
    dispatcher = Dispatcher(store, sender=sender())
    dispatcher.enqueue()
    dispatcher.deliver_due()
    (got,) = receiver.got
    blocks = map(json.loads, re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))
    (example,) = (block for block in blocks if "job" in block)
    assert example.keys() == got.event.keys()
    assert example["job"].keys() == got.event["job"].keys()
    assert example["data"].keys() == got.event["data"].keys()
    for name in re.findall(r"^(webhook-[\w-]+):", PAGE, flags=re.MULTILINE):
        assert got.headers[name]


def test_the_request_on_the_page_is_valid():
    first = re.search(r"^```json\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert first is not None
    NewWebhook.model_validate(json.loads(first.group(1)))


def test_the_page_lists_all_event_types():
    section = PAGE.split("## Event types")[1].split("## ")[0]
    every, default = section.split("A webhook that names none")
    assert re.findall(r"`(\w+\.\w+)`", every) == [event.value for event in WebhookEvent]
    assert set(re.findall(r"`(\w+\.\w+)`", default)) == {event.value for event in DEFAULT_EVENTS}


def test_the_waits_on_the_page_are_the_real_ones():
    assert (FIRST_WAIT_SECONDS, WAIT_FACTOR, MAX_ATTEMPTS, TIMEOUT_SECONDS) == (2, 3.7, 10, 10)
    assert "waits of 2 seconds, 7\nseconds, 27 seconds and so on" in PAGE
    assert "ten attempts in all" in PAGE
