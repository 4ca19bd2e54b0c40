"""Webhooks and deliveries as values, and the rule for retries. Pure.

Times are seconds since 1970 UTC by the database's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tuner.errors import InvalidValue

MAX_ATTEMPTS = 10
"""Attempts per delivery: with the waits between them, about a day."""
FIRST_WAIT_SECONDS = 2.0
WAIT_FACTOR = 3.7
"""Ratio of each wait to the previous one."""
LONGEST_WAIT_SECONDS = FIRST_WAIT_SECONDS * WAIT_FACTOR ** (MAX_ATTEMPTS - 2) * 1.25
"""Before the last attempt, with all of the jitter."""
_HIGHEST_PORT = 65_535


class WebhookFormat(StrEnum):
    """Format of the body of a delivery."""

    JSON = "json"
    """The event as documented in docs/webhooks.md."""
    SLACK = "slack"
    """A message as Slack's incoming webhooks take it; Mattermost's and Rocket.Chat's take the same."""


class WebhookEvent(StrEnum):
    """Event types that a webhook can subscribe to: all but the evaluations, of which there are too many."""

    JOB_SUBMITTED = "job.submitted"
    JOB_STARTED = "job.started"
    JOB_PAUSED = "job.paused"
    JOB_RESUMED = "job.resumed"
    JOB_CHANGED = "job.changed"
    JOB_RETRIED = "job.retried"
    JOB_LIMIT_REACHED = "job.limit_reached"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    TRIAL_STARTED = "trial.started"
    TRIAL_PRUNED = "trial.pruned"
    TRIAL_COMPLETED = "trial.completed"
    TRIAL_FAILED = "trial.failed"
    RUN_DIVERGED = "run.diverged"
    RUN_STOPPED = "run.stopped"
    RUN_FAILED = "run.failed"
    RUN_REQUEUED = "run.requeued"


TEST_EVENT = "webhook.test"
"""Type of the event of a test delivery."""
DEFAULT_EVENTS = (
    WebhookEvent.JOB_COMPLETED,
    WebhookEvent.JOB_FAILED,
    WebhookEvent.JOB_CANCELLED,
    WebhookEvent.JOB_LIMIT_REACHED,
)


class DeliveryState(StrEnum):
    """State of a delivery. Members are stored: they may be added, never removed."""

    PENDING = "pending"
    """It waits for its next attempt."""
    SENDING = "sending"
    """An attempt is in progress, until its hold expires."""
    DELIVERED = "delivered"
    """The receiver answered with a 2xx status."""
    FAILED = "failed"
    """Its attempts are used up, or its webhook was disabled."""


def checked_url(url: str) -> str:
    """Check that events can be sent to a URL.

    Raises:
        InvalidValue: It does not have the scheme http or https, contains a name and password or a fragment, or is
            not printable ASCII.
    """
    shape = "an http or https URL in printable ASCII, without user name, password or fragment"
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise InvalidValue("url", value=url, allowed=shape)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidValue("url", value=url, allowed=shape, hint=f"This one cannot be read: {error}") from None
    complete = parts.scheme in {"http", "https"} and parts.hostname and (port is None or 0 < port <= _HIGHEST_PORT)
    if not complete or parts.username is not None or parts.password is not None or "#" in url:
        raise InvalidValue("url", value=url, allowed=shape)
    return url


Url = Annotated[
    str,
    Field(
        min_length=10,
        max_length=2_000,
        pattern=r"^https?://[!-~]+$",
        description="The URL to which events are sent by POST. Redirects are not followed.",
    ),
    AfterValidator(checked_url),
]
Events = Annotated[
    tuple[WebhookEvent, ...],
    Field(min_length=1, max_length=len(WebhookEvent), description="The event types that are sent."),
    AfterValidator(lambda events: tuple(dict.fromkeys(events))),
]


class NewWebhook(BaseModel):
    """A request for a new webhook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url
    format: WebhookFormat = Field(default=WebhookFormat.JSON, description="Format of the body of a delivery.")
    events: Events = DEFAULT_EVENTS
    team: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="The team whose events are sent; when absent your own team, for admins of the service every team.",
    )


class WebhookChange(BaseModel):
    """Changes to a webhook. Absent fields stay as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url | None = None
    format: WebhookFormat | None = Field(default=None, description="Format of the body of a delivery.")
    events: Events | None = None
    enabled: bool | None = Field(
        default=None,
        description="Disabling abandons pending deliveries; events that happen while it is disabled are never sent.",
    )


@dataclass(frozen=True, kw_only=True)
class WebhookRecord:
    """A webhook as stored."""

    id: str
    team: str | None
    """The team whose events are sent; ``None``: every team."""
    url: str
    format: WebhookFormat
    events: tuple[WebhookEvent, ...]
    enabled: bool
    key_version: int
    """Number of signing keys so far, the current one included."""
    created_by: str
    created_at: float


@dataclass(frozen=True, kw_only=True)
class DeliveryRecord:
    """One event on its way to one webhook."""

    id: str
    webhook_id: str
    event_id: str
    """The event's id in the delivery."""
    type: str
    job_id: str
    state: DeliveryState
    attempts: int
    next_attempt_at: float | None
    """``None`` when there will be no further attempt."""
    last_status: int | None
    """HTTP status of the last response; ``None`` without a response."""
    last_error: str | None
    created_at: float
    finished_at: float | None


@dataclass(frozen=True, kw_only=True)
class DueDelivery:
    """A delivery that a dispatcher has claimed, with everything that sending it needs."""

    id: str
    webhook_id: str
    attempt: int
    """1 for the first. It identifies the claim: the result of an attempt is void once a later one has begun."""
    url: str
    format: WebhookFormat
    key_version: int
    body: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class DeliveryResponse:
    """The result of one attempt."""

    status: int | None
    """HTTP status; ``None`` without a response."""
    error: str | None
    """Why it is not delivered; ``None`` when it is delivered."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The state of a delivery after an attempt."""

    state: DeliveryState
    wait_seconds: float | None
    """Until the next attempt; ``None`` without a further attempt."""
    disable: bool
    """Whether the receiver is gone permanently, so that its webhook is disabled."""


def next_attempt(response: DeliveryResponse, *, attempt: int, jitter: float) -> Outcome:
    """Decide whether a delivery is done, is retried, or has failed.

    Args:
        response: The result of the attempt.
        attempt: 1 for the first.
        jitter: In [0, 1); spreads the waits, so that deliveries that failed together are not retried together.
    """
    if response.error is None:
        return Outcome(state=DeliveryState.DELIVERED, wait_seconds=None, disable=False)
    if response.status == HTTPStatus.GONE:
        return Outcome(state=DeliveryState.FAILED, wait_seconds=None, disable=True)
    if attempt >= MAX_ATTEMPTS:
        return Outcome(state=DeliveryState.FAILED, wait_seconds=None, disable=False)
    wait = FIRST_WAIT_SECONDS * WAIT_FACTOR ** (attempt - 1) * (0.75 + jitter / 2)
    return Outcome(state=DeliveryState.PENDING, wait_seconds=wait, disable=False)
