"""Webhooks as values: where a team wants to be told of its jobs, and what a failed attempt leads to. Pure.

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
"""How often a delivery is tried: with the waits between, over about a day."""
FIRST_WAIT_SECONDS = 10.0
WAIT_FACTOR = 3.0
"""Each wait is so much longer than the one before."""
_HIGHEST_PORT = 65_535


class WebhookFormat(StrEnum):
    """What the body of a delivery looks like."""

    JSON = "json"
    """The event as documented in docs/webhooks.md."""
    SLACK = "slack"
    """A message as Slack's incoming webhooks take it; Mattermost's and Rocket.Chat's take the same."""


class WebhookEvent(StrEnum):
    """What can be told: the kinds of events of the same names, but for the evaluations, of which there are too many."""

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
    RUN_FAILED = "run.failed"
    RUN_REQUEUED = "run.requeued"


TEST_EVENT = "webhook.test"
"""Type of what is sent to try a webhook out."""
DEFAULT_EVENTS = (
    WebhookEvent.JOB_COMPLETED,
    WebhookEvent.JOB_FAILED,
    WebhookEvent.JOB_CANCELLED,
    WebhookEvent.JOB_LIMIT_REACHED,
)


class DeliveryState(StrEnum):
    """Where a delivery stands. Members are stored: they may be added, never removed."""

    PENDING = "pending"
    """It waits for its next attempt."""
    SENDING = "sending"
    """An attempt is under way, until its time is up."""
    DELIVERED = "delivered"
    """The receiver answered with a 2xx status."""
    FAILED = "failed"
    """Its attempts are used up, or its webhook was disabled."""


def checked_url(url: str) -> str:
    """The URL, when events can be sent there.

    Raises:
        InvalidValue: It is none with the scheme http or https, holds a name and password or a fragment, or is not
            written in printable ASCII.
    """
    shape = "an http or https URL in printable ASCII, without user name, password or fragment"
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise InvalidValue("url", value=url, allowed=shape)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidValue("url", value=url, allowed=shape, hint=f"This one cannot be read: {error}") from None
    whole = parts.scheme in {"http", "https"} and parts.hostname and (port is None or 0 < port <= _HIGHEST_PORT)
    if not whole or parts.username is not None or parts.password is not None or "#" in url:
        raise InvalidValue("url", value=url, allowed=shape)
    return url


Url = Annotated[
    str,
    Field(
        min_length=10,
        max_length=2_000,
        pattern=r"^https?://[!-~]+$",
        description="Where events are sent, by POST. Redirects are not followed.",
    ),
    AfterValidator(checked_url),
]
Events = Annotated[
    tuple[WebhookEvent, ...],
    Field(min_length=1, max_length=len(WebhookEvent), description="What is told; each kind once."),
    AfterValidator(lambda events: tuple(dict.fromkeys(events))),
]


class NewWebhook(BaseModel):
    """A webhook as it is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url
    format: WebhookFormat = Field(default=WebhookFormat.JSON, description="What the body of a delivery looks like.")
    events: Events = DEFAULT_EVENTS
    team: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Whose jobs are told of. Absent: your own team's; every team's for admins of the whole service.",
    )


class WebhookChange(BaseModel):
    """What is to be changed of a webhook; absent fields stay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url | None = None
    format: WebhookFormat | None = Field(default=None, description="What the body of a delivery looks like.")
    events: Events | None = None
    enabled: bool | None = Field(
        default=None,
        description="Disabling gives up what is not delivered yet; what happens while it is disabled is never told.",
    )


@dataclass(frozen=True, kw_only=True)
class WebhookRecord:
    """A webhook as stored."""

    id: str
    team: str | None
    """Whose jobs are told of; ``None``: every team's."""
    url: str
    format: WebhookFormat
    events: tuple[WebhookEvent, ...]
    enabled: bool
    key_version: int
    """How often its signing key was made, the present one included."""
    created_by: str
    created_at: float


@dataclass(frozen=True, kw_only=True)
class DeliveryRecord:
    """One event on its way to one webhook."""

    id: str
    webhook_id: str
    event_id: str
    """What the receiver gets as the event's id."""
    type: str
    job_id: str
    state: DeliveryState
    attempts: int
    next_attempt_at: float | None
    """``None`` when there will be none."""
    last_status: int | None
    """HTTP status of the last answer; ``None`` when none came."""
    last_error: str | None
    created_at: float
    finished_at: float | None


@dataclass(frozen=True, kw_only=True)
class DueDelivery:
    """A delivery in the hands of a dispatcher: all that sending it needs."""

    id: str
    webhook_id: str
    attempt: int
    """1 for the first. It is the right to record what came of it: a later attempt voids it."""
    url: str
    format: WebhookFormat
    key_version: int
    body: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one attempt."""

    status: int | None
    """HTTP status; ``None`` when no answer came."""
    error: str | None
    """Why it is not delivered; ``None`` when it is."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an attempt leads to."""

    state: DeliveryState
    wait_seconds: float | None
    """Until the next attempt; ``None`` when there is none."""
    disable: bool
    """The receiver is gone for good: nothing more is sent there."""


def judge(answer: Answer, *, attempt: int, chance: float) -> Outcome:
    """Decide what an attempt leads to: done, another attempt, or the end.

    Args:
        answer: What came of it.
        attempt: 1 for the first.
        chance: In [0, 1); spreads the waits, so that what failed together does not come again together.
    """
    if answer.error is None:
        return Outcome(state=DeliveryState.DELIVERED, wait_seconds=None, disable=False)
    if answer.status == HTTPStatus.GONE:
        return Outcome(state=DeliveryState.FAILED, wait_seconds=None, disable=True)
    if attempt >= MAX_ATTEMPTS:
        return Outcome(state=DeliveryState.FAILED, wait_seconds=None, disable=False)
    wait = FIRST_WAIT_SECONDS * WAIT_FACTOR ** (attempt - 1) * (0.75 + chance / 2)
    return Outcome(state=DeliveryState.PENDING, wait_seconds=wait, disable=False)
