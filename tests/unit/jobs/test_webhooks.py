"""What a failed attempt leads to, and which URLs are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import InvalidValue
from tuner.jobs.webhooks import (
    DEFAULT_EVENTS,
    MAX_ATTEMPTS,
    DeliveryResponse,
    DeliveryState,
    WebhookEvent,
    checked_url,
    next_attempt,
)
from tuner.store import EventKind

CHANCES = st.floats(min_value=0, max_value=1, exclude_max=True)
REFUSED = DeliveryResponse(status=None, error="connection refused")


@given(attempt=st.integers(1, MAX_ATTEMPTS), chance=CHANCES)
def test_a_successful_delivery_is_never_retried(attempt: int, chance: float):
    outcome = next_attempt(DeliveryResponse(status=204, error=None), attempt=attempt, jitter=chance)
    assert (outcome.state, outcome.wait_seconds, outcome.disable) == (DeliveryState.DELIVERED, None, False)


@given(attempt=st.integers(1, MAX_ATTEMPTS - 1), chance=CHANCES, status=st.none() | st.integers(300, 599))
def test_a_failed_delivery_is_retried_unless_the_receiver_is_gone(attempt: int, chance: float, status: int | None):
    outcome = next_attempt(DeliveryResponse(status=status, error="no"), attempt=attempt, jitter=chance)
    if status == 410:
        assert outcome.disable
        assert outcome.state is DeliveryState.FAILED
    else:
        assert not outcome.disable
        assert outcome.state is DeliveryState.PENDING
        assert outcome.wait_seconds is not None


@given(chance=CHANCES)
def test_the_last_attempt_is_the_last(chance: float):
    outcome = next_attempt(REFUSED, attempt=MAX_ATTEMPTS, jitter=chance)
    assert (outcome.state, outcome.wait_seconds) == (DeliveryState.FAILED, None)


@given(chances=st.lists(CHANCES, min_size=MAX_ATTEMPTS - 1, max_size=MAX_ATTEMPTS - 1))
def test_waits_grow_and_all_attempts_together_take_about_a_day(chances: list[float]):
    waits = [
        next_attempt(REFUSED, attempt=attempt, jitter=chance).wait_seconds or 0.0
        for attempt, chance in enumerate(chances, 1)
    ]
    assert waits == sorted(waits)
    assert 1.5 <= waits[0] <= 2.5
    assert 0.75 * 24 * 3600 <= sum(waits) <= 1.5 * 24 * 3600


def test_webhook_events_are_event_kinds_and_include_all_of_jobs():
    kinds = {kind.value for kind in EventKind}
    told = {event.value for event in WebhookEvent}
    assert told <= kinds
    assert {kind for kind in kinds if kind.startswith("job.")} <= told
    assert set(DEFAULT_EVENTS) <= set(WebhookEvent)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "http://example.org:8080/hook?channel=1",
        "https://hooks.slack.com/services/T0/B0/x",
        "http://[2606:2800:220:1::1]/hook",
        "http://192.0.2.1/",
    ],
)
def test_urls_that_events_can_be_sent_to_are_taken(url: str):
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:secret@example.org/",
        "https://user@example.org/",
        "https://example.org/#part",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://example.org:port/",
        "https://exämple.org/",
        "https://example.org/a b",
        "https://example.org/\r\nX-Header: 1",
        "https://[::1/",
        "example.org",
    ],
)
def test_other_urls_are_refused_by_name(url: str):
    with pytest.raises(InvalidValue, match="url must be an http or https URL"):
        checked_url(url)


@given(st.text(max_size=60))
def test_no_text_breaks_the_check(text: str):
    try:
        checked_url(text)
    except InvalidValue:
        return
    assert text.lower().startswith(("http://", "https://"))
