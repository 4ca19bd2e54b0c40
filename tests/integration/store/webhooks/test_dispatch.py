"""The dispatcher from the event to the receiver, on both databases."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from standardwebhooks import Webhook

from tests.integration.service.receiver import Got, Receiver, receiving
from tests.integration.store.builders import spec
from tuner.errors import DatabaseUnavailable
from tuner.jobs.webhooks import (
    FIRST_WAIT_SECONDS,
    DeliveryResponse,
    DeliveryState,
    NewWebhook,
    WebhookEvent,
    WebhookRecord,
)
from tuner.store import Store
from tuner_service.webhooks.dispatcher import HOLD_SECONDS, Dispatcher
from tuner_service.webhooks.sender import WebhookSender
from tuner_service.webhooks.signing import signing_key

SECRET = b"a secret of the service, 32 bytes"
NOON = 1_790_000_000.75
PATIENCE_SECONDS = 60.0

Sql = Callable[..., list[Any]]


def sender(*, allow_private: bool = True) -> WebhookSender:
    return WebhookSender(secret=SECRET, allow_private=allow_private, clock=lambda: NOON)


def dispatcher(store: Store, **changes: Any) -> Dispatcher:
    values: dict[str, Any] = {"sender": sender(), "interval": timedelta(milliseconds=5), "jitter": lambda: 0.5}
    return Dispatcher(store, **values | changes)


def webhook(store: Store, receiver: Receiver, **changes: Any) -> WebhookRecord:
    values: dict[str, Any] = {"url": receiver.url, "events": [WebhookEvent.JOB_SUBMITTED]}
    return store.webhooks.create(NewWebhook.model_validate(values | changes))


def signature(key: str, got: Got) -> str:
    """The signature that a receiver expects at noon."""
    return Webhook(key).sign(got.event_id, datetime.fromtimestamp(NOON, UTC), got.body.decode())


def submit(store: Store, count: int) -> None:
    for _ in range(count):
        store.jobs.submit(spec())


def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for: {what}"
        time.sleep(0.01)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
def pass_time(sql: Sql) -> Callable[[float], None]:
    """Let so many seconds go by, as far as deliveries are concerned."""

    def pass_time(seconds: float) -> None:
        sql("UPDATE tuner_deliveries SET due_at = due_at - :seconds", seconds=seconds)

    return pass_time


def test_a_receiver_gets_the_event_signed_with_the_key_that_it_was_given(store: Store, receiver: Receiver):
    made = webhook(store, receiver)
    submit(store, 1)
    sends = dispatcher(store)
    sends.enqueue()
    assert sends.deliver_once()
    assert not sends.deliver_once()
    (got,) = receiver.got
    assert got.event["type"] == "job.submitted"
    assert got.headers["Content-Type"] == "application/json"
    assert got.event_id == got.event["id"]
    assert got.headers["webhook-timestamp"] == "1790000000"
    key = signing_key(SECRET, webhook_id=made.id, version=1)
    assert got.headers["webhook-signature"] == signature(key, got)


def test_after_a_rotation_everything_is_signed_with_the_new_key(store: Store, receiver: Receiver):
    made = webhook(store, receiver)
    submit(store, 1)
    sends = dispatcher(store)
    sends.enqueue()
    store.webhooks.rotate_key(made.id)
    sends.deliver_due()
    key = signing_key(SECRET, webhook_id=made.id, version=2)
    assert receiver.got[0].headers["webhook-signature"] == signature(key, receiver.got[0])


def test_slack_gets_its_own_format(store: Store, receiver: Receiver):
    webhook(store, receiver, format="slack")
    submit(store, 1)
    sends = dispatcher(store)
    sends.enqueue()
    sends.deliver_due()
    assert list(receiver.got[0].event) == ["text"]
    assert "*a job* submitted (team default, local" in receiver.got[0].event["text"]


def test_a_receiver_that_recovers_gets_what_it_missed_under_the_same_id(
    store: Store, receiver: Receiver, pass_time: Callable[[float], None]
):
    made = webhook(store, receiver)
    submit(store, 1)
    sends = dispatcher(store)
    sends.enqueue()
    answers = iter([500, 503, 429, 200])
    receiver.answer = lambda _: next(answers)
    for wait in (10.0, 30.0, 90.0):
        assert sends.deliver_once()
        assert not sends.deliver_once()
        pass_time(wait)
    assert sends.deliver_once()
    assert len(set(receiver.event_ids)) == 1
    assert len(receiver.got) == 4
    (one,) = store.webhooks.deliveries(made.id).items
    assert (one.state, one.attempts, one.last_status) == (DeliveryState.DELIVERED, 4, 200)


def test_a_redirect_counts_as_a_failed_attempt(store: Store, receiver: Receiver):
    made = webhook(store, receiver)
    receiver.answer = lambda _: 302
    receiver.headers["Location"] = receiver.url
    submit(store, 1)
    sends = dispatcher(store)
    sends.enqueue()
    sends.deliver_due()
    (one,) = store.webhooks.deliveries(made.id).items
    assert (one.state, one.last_status) == (DeliveryState.PENDING, 302)
    assert "redirects are not followed" in str(one.last_error)
    assert len(receiver.got) == 1


def test_a_receiver_that_says_it_is_gone_is_disabled(store: Store, receiver: Receiver):
    made = webhook(store, receiver)
    receiver.answer = lambda _: 410
    submit(store, 3)
    sends = dispatcher(store)
    sends.enqueue()
    sends.deliver_due()
    assert len(receiver.got) == 1
    assert not store.webhooks.get(made.id).enabled


def test_nothing_reaches_a_private_address_that_is_not_allowed(store: Store, receiver: Receiver):
    made = webhook(store, receiver, url=f"http://localhost:{receiver.port}/hook")
    submit(store, 1)
    sends = dispatcher(store, sender=sender(allow_private=False))
    sends.enqueue()
    sends.deliver_due()
    assert not receiver.got
    (one,) = store.webhooks.deliveries(made.id).items
    assert (one.state, one.last_status) == (DeliveryState.PENDING, None)
    assert "not on the public internet" in str(one.last_error)


def test_a_dispatcher_that_dies_between_sending_and_recording_costs_a_repetition_and_no_event(
    store: Store, receiver: Receiver, pass_time: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
):
    made = webhook(store, receiver)
    submit(store, 1)
    dies = dispatcher(store)
    dies.enqueue()

    def die(*_: object, **__: object) -> bool:
        raise DatabaseUnavailable("the process is gone")

    with monkeypatch.context() as patched:
        patched.setattr(store.deliveries, "record", die)
        with pytest.raises(DatabaseUnavailable):
            dies.deliver_once()
    assert len(receiver.got) == 1
    takes_over = dispatcher(store)
    assert not takes_over.deliver_once(), "it may still be alive"
    pass_time(HOLD_SECONDS + 1)
    assert takes_over.deliver_once()
    first, second = receiver.got
    assert first.event_id == second.event_id
    assert first.body == second.body
    assert store.webhooks.deliveries(made.id).items[0].state is DeliveryState.DELIVERED


def test_a_running_dispatcher_outlives_an_outage_of_the_database(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, lines: list[Any]
):
    webhook(store, receiver)
    looks = threading.Event()
    real = store.deliveries.enqueue

    def away_at_first() -> int:
        if looks.is_set():
            return real()
        looks.set()
        raise DatabaseUnavailable("connection refused")

    monkeypatch.setattr(store.deliveries, "enqueue", away_at_first)
    submit(store, 3)
    with dispatcher(store):
        wait_until(lambda: len(receiver.got) == 3, what="all events to arrive")
    assert not [line for line in lines if line["log_level"] == "error"], "the store says it, once"


class _Failing(WebhookSender):
    """A sender that meets something unforeseen at its first attempt, such as a machine without a thread to spare."""

    def __init__(self) -> None:
        super().__init__(secret=SECRET, allow_private=True, clock=lambda: NOON)
        self.failed = threading.Event()

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> DeliveryResponse:
        if not self.failed.is_set():
            self.failed.set()
            raise RuntimeError("can't start new thread")
        return super().post(url, body=body, headers=headers)


def test_an_attempt_that_ends_in_an_unforeseen_error_is_followed_by_the_next_one_soon(
    store: Store, receiver: Receiver, lines: list[Any]
):
    made = webhook(store, receiver)
    submit(store, 1)
    failing = dispatcher(store, sender=_Failing(), jitter=lambda: 0.0)
    failing.enqueue()
    assert failing.deliver_once()
    (delivery,) = store.webhooks.deliveries(made.id).items
    assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, 1)
    assert delivery.last_error == "the service could not send it: RuntimeError"
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at - store.now() <= FIRST_WAIT_SECONDS
    with failing:
        wait_until(lambda: bool(receiver.got), what="the second attempt")
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["webhooks.attempt_failed"]


def test_the_first_attempt_is_due_at_once_after_a_clock_that_was_set_back(store: Store, receiver: Receiver, sql: Sql):
    webhook(store, receiver)
    submit(store, 1)
    sender = dispatcher(store)
    sender.enqueue()
    sql("UPDATE tuner_deliveries SET due_at = due_at + 300")
    assert sender.deliver_once()
    assert len(receiver.got) == 1


def test_two_services_over_one_database_deliver_each_event_once(store: Store, url: str):
    slow = threading.Semaphore(3)

    def answer(got: Got) -> int:
        with slow:
            return 204

    with receiving(answer=answer) as receiver, closing(Store(url)) as other_store:
        made = [webhook(store, receiver, url=f"{receiver.url}/{number}") for number in range(4)]
        with dispatcher(store), dispatcher(other_store):
            submit(store, 15)
            wait_until(lambda: len(receiver.got) >= 60, what="all events to arrive")
            wait_until(
                lambda: all(
                    len(store.webhooks.deliveries(one.id, state=DeliveryState.DELIVERED, limit=500).items) == 15
                    for one in made
                ),
                what="all deliveries to be recorded",
            )
        counts = Counter((got.path, got.event_id) for got in receiver.got)
    assert len(counts) == 60
    assert set(counts.values()) == {1}


def test_a_dispatcher_stops_when_told_and_leaves_the_rest_to_others(store: Store, receiver: Receiver):
    made = webhook(store, receiver)
    begun, go_on = threading.Event(), threading.Event()

    def answer(_: Got) -> int:
        begun.set()
        go_on.wait(PATIENCE_SECONDS)
        return 204

    receiver.answer = answer
    submit(store, 5)
    sends = dispatcher(store)

    def answer_once_it_stops() -> None:
        sends._stopping.wait(PATIENCE_SECONDS)
        go_on.set()

    with sends:
        assert begun.wait(PATIENCE_SECONDS)
        threading.Thread(target=answer_once_it_stops).start()
    assert len(receiver.got) < 5
    states = Counter(one.state for one in store.webhooks.deliveries(made.id).items)
    assert DeliveryState.SENDING not in states
    assert states[DeliveryState.DELIVERED] == len(receiver.got)


def test_while_nothing_is_due_one_thread_alone_polls(store: Store, monkeypatch: pytest.MonkeyPatch):
    polls, claims = threading.Semaphore(0), []
    is_due = store.deliveries.is_due

    def counted() -> bool:
        polls.release()
        return is_due()

    monkeypatch.setattr(store.deliveries, "is_due", counted)
    monkeypatch.setattr(store.deliveries, "claim", lambda **_: claims.append(1))
    with dispatcher(store, interval=timedelta(milliseconds=1)):
        for _ in range(20):
            assert polls.acquire(timeout=60)
    assert len(claims) <= 8  # each thread looks once more when the dispatcher stops
