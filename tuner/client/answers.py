"""What the service answers beyond the records of the library."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.jobs.admission.pricing import Estimate
from tuner.jobs.records import LogChunk, QueueEntry
from tuner.jobs.spec import JobSpec
from tuner.jobs.webhooks import WebhookRecord
from tuner.people.permissions import Role
from tuner.people.records import Member, TokenRecord
from tuner.search.decision.rungs import Price


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Something for which the service would refuse a job."""

    field: str | None
    """What of the request, dotted; ``None`` when it is a limit."""
    limit: str | None
    """Which limit of the team or of the user; ``None`` when it is the request itself."""
    message: str


@dataclass(frozen=True, kw_only=True)
class JobPreview:
    """What a job would be and cost, were it submitted now."""

    spec: JobSpec | None
    """The job with every default filled in; ``None`` when the request itself would be refused."""
    price: Price | None
    """Runs and updates, at most."""
    estimate: Estimate | None
    """Runs of each rung, and device time from what the workload measured so far."""
    would_refuse: tuple[Refusal, ...]
    queue_ahead: int
    """Jobs that would go first."""


@dataclass(frozen=True, kw_only=True)
class RunLog:
    """A piece of what a run's code printed."""

    chunks: tuple[LogChunk, ...]
    next: int
    """Give it as ``after`` to get what follows."""
    complete: bool
    """Nothing more will come."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The open jobs, in the order in which it is their turn."""

    items: tuple[QueueEntry, ...]


@dataclass(frozen=True, kw_only=True)
class PreviewPoint:
    """The learning rate at one update."""

    update: int
    lr: float


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a schedule does over a run."""

    label: str
    digest: str
    total_steps: int
    points: tuple[PreviewPoint, ...]


@dataclass(frozen=True, kw_only=True)
class Me:
    """Who the service takes its caller for, and with which rights."""

    user: str
    team: str | None
    """``None``: every team."""
    role: Role
    token_id: str | None
    """``None`` where nobody logs in."""
    runs_the_service: bool
    """Whether everything is allowed."""
    memberships: tuple[Member, ...]
    """All teams of the user; the token may be for one of them alone."""


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token that was just made. Its secret is told this once."""

    token: TokenRecord
    secret: str


@dataclass(frozen=True, kw_only=True)
class WebhookWithKey:
    """A webhook with the key that its deliveries are signed with. The key is told this once."""

    webhook: WebhookRecord
    key: str


@dataclass(frozen=True, kw_only=True)
class WebhookTest:
    """What came of trying a webhook out."""

    delivered: bool
    status: int | None
    """HTTP status of the receiver's answer; ``None`` when none came."""
    error: str | None
    """Why it was not delivered."""
    event_id: str
