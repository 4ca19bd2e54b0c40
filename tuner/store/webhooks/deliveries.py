"""Deliveries of events to webhooks: enqueued exactly once, each claimed by one dispatcher at a time.

A webhook stores the last event that was enqueued for it. The deliveries of later events are stored in the transaction
that advances this mark, so each event is enqueued once, with any number of dispatchers. A claim expires; if a
dispatcher dies, another one sends the delivery again: at least once, under the same event id.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from tuner.jobs.priority import Priority
from tuner.jobs.webhooks import (
    LONGEST_WAIT_SECONDS,
    DeliveryResponse,
    DeliveryState,
    DueDelivery,
    Outcome,
    WebhookFormat,
)
from tuner.people.permissions import Actor
from tuner.store.db.clock import expired
from tuner.store.db.database import Repository, Tx, read_clock, reads, writes
from tuner.store.db.models import Delivery, Event, Job, Webhook
from tuner.store.db.rows import clipped_text
from tuner.store.jobs.events import latest_event_id

_BATCH = 200
_PRUNED_AT_A_TIME = 1_000
_OPEN = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)
ENDED_STATES = (DeliveryState.DELIVERED.value, DeliveryState.FAILED.value)
"""Stored states of deliveries that have ended."""
_SERVICE = Actor(user="service")
"""The actor that disables a webhook whose receiver is gone."""


class Deliveries(Repository):
    """Pending deliveries, for dispatchers."""

    def enqueue(self) -> int:
        """Enqueue a delivery of every new event that a webhook subscribes to.

        Returns:
            How many deliveries were enqueued.
        """
        return sum(self._enqueue_all(webhook_id) for webhook_id in self._webhooks_behind())

    def claim(self, *, hold_seconds: float) -> DueDelivery | None:
        """Claim the next due delivery, of a webhook to which nothing is being sent.

        One at a time per webhook: a slow receiver delays no other, and is not overloaded.

        Args:
            hold_seconds: How long the claim lasts; then the delivery may be claimed again.

        Returns:
            The delivery, or ``None`` when none is due.
        """
        # Read without a lock first: most calls find nothing.
        return self._claim(hold_seconds=hold_seconds) if self.is_due() else None

    @writes
    def record(self, tx: Tx, due: DueDelivery, *, response: DeliveryResponse, outcome: Outcome) -> bool:
        """Record the outcome of an attempt.

        Returns:
            Whether the claim still held; if not, another dispatcher has it, or the webhook was deleted or disabled, and
            nothing was recorded.
        """
        webhook = tx.session.scalar(select(Webhook).where(Webhook.id == due.webhook_id).with_for_update(key_share=True))
        held = select(Delivery).where(
            Delivery.id == due.id, Delivery.attempts == due.attempt, Delivery.state == DeliveryState.SENDING.value
        )
        delivery = tx.session.scalar(held.with_for_update())
        if webhook is None or delivery is None:
            return False
        delivery.state = outcome.state.value
        delivery.last_status = response.status
        delivery.last_error = None if response.error is None else clipped_text(response.error)
        delivery.due_at = tx.now + (outcome.wait_seconds or 0.0)
        delivery.finished_at = tx.now if outcome.wait_seconds is None else None
        if outcome.disable:
            tx.session.flush()
            disable(tx, webhook, reason="the receiver answered 410: it is gone, and the webhook was disabled")
            tx.audit(_SERVICE, "webhook.disable", target=webhook.id, team=webhook.team, status=response.status)
        return True

    @writes
    def prune(self, tx: Tx, *, older_than_seconds: float) -> int:
        """Delete a batch of deliveries that ended so long ago; return how many."""
        old = (
            select(Delivery.id)
            .where(Delivery.state.in_(ENDED_STATES), Delivery.due_at < tx.now - older_than_seconds)
            .limit(_PRUNED_AT_A_TIME)
        )
        deleted = tx.session.execute(delete(Delivery).where(Delivery.id.in_(old)).returning(Delivery.id))
        return len(deleted.all())

    @reads
    def _webhooks_behind(self, session: Session) -> Sequence[str]:
        behind = select(Webhook.id).where(Webhook.enabled, Webhook.after_event < latest_event_id(session))
        return session.scalars(behind.order_by(Webhook.id)).all()

    def _enqueue_all(self, webhook_id: str) -> int:
        made = 0
        while batch := self._enqueue_batch(webhook_id):
            made += batch
            if batch < _BATCH:
                break
        return made

    @writes
    def _enqueue_batch(self, tx: Tx, webhook_id: str) -> int:
        wanted = select(Webhook).where(Webhook.id == webhook_id, Webhook.enabled)
        webhook = tx.session.scalar(wanted.with_for_update(skip_locked=True, key_share=True))
        if webhook is None:
            return 0
        # Ids ascend in the order of commits: all events up to the latest one are visible now.
        latest = latest_event_id(tx.session)
        query = (
            select(Event, Job)
            .join(Job, Job.id == Event.job_id)
            .where(Event.id > webhook.after_event, Event.id <= latest, Event.kind.in_(webhook.events))
            .order_by(Event.id)
            .limit(_BATCH)
        )
        if webhook.team is not None:
            query = query.where(Job.team == webhook.team)
        found = tx.session.execute(query).all()
        for event, job in found:
            tx.session.add(_new_delivery(tx, webhook, event=event, job=job))
        webhook.after_event = found[-1][0].id if len(found) == _BATCH else latest
        return len(found)

    @reads
    def is_due(self, session: Session) -> bool:
        """Whether a delivery is due."""
        due = select(Delivery.id).where(_due(read_clock(session))).limit(1)
        return session.scalar(due) is not None

    @writes
    def _claim(self, tx: Tx, *, hold_seconds: float) -> DueDelivery | None:
        waiting = (
            select(Delivery.webhook_id, func.min(Delivery.due_at).label("due_at"))
            .where(_due(tx.now))
            .group_by(Delivery.webhook_id)
            .subquery()
        )
        free = (
            select(Webhook)
            .join(waiting, waiting.c.webhook_id == Webhook.id)
            .where(~_sending(tx.now))
            .order_by(waiting.c.due_at, Webhook.id)
            .limit(1)
            # PostgreSQL skips a webhook that another dispatcher has locked; SQLite has one writer at a time.
            .with_for_update(of=Webhook, skip_locked=True, key_share=True)
        )
        webhook = tx.session.scalar(free)
        # Checked again under the lock: another dispatcher may have claimed since the query began.
        if webhook is None or tx.session.scalar(select(Webhook.id).where(Webhook.id == webhook.id, _sending(tx.now))):
            return None
        first = select(Delivery).where(Delivery.webhook_id == webhook.id, _due(tx.now))
        delivery = tx.session.scalar(first.order_by(Delivery.due_at, Delivery.event_id).limit(1).with_for_update())
        if delivery is None:
            return None
        delivery.state = DeliveryState.SENDING.value
        delivery.attempts += 1
        delivery.due_at = tx.now + hold_seconds
        return DueDelivery(
            id=delivery.id,
            webhook_id=webhook.id,
            attempt=delivery.attempts,
            url=webhook.url,
            format=WebhookFormat(webhook.format),
            key_version=webhook.key_version,
            body=delivery.body,
        )


def disable(tx: Tx, webhook: Webhook, *, reason: str) -> None:
    """Disable a webhook, and fail its pending deliveries."""
    webhook.enabled = False
    pending = update(Delivery).where(Delivery.webhook_id == webhook.id, Delivery.state.in_(_OPEN))
    failed = DeliveryState.FAILED.value
    tx.session.execute(pending.values(state=failed, last_error=reason, due_at=tx.now, finished_at=tx.now))


def _due(now: float) -> ColumnElement[bool]:
    """The deliveries that may be claimed: pending, or with an expired claim.

    The first attempt is due at once, whatever the clock was when it was stored. One that is due later than any wait
    lasts was stored by a clock that was ahead.
    """
    pending = and_(
        Delivery.state == DeliveryState.PENDING.value,
        or_(
            Delivery.attempts == 0,
            Delivery.due_at <= now,
            expired(Delivery.due_at, now=now, longest=LONGEST_WAIT_SECONDS),
        ),
    )
    return or_(pending, and_(Delivery.state == DeliveryState.SENDING.value, expired(Delivery.due_at, now=now)))


def _sending(now: float) -> ColumnElement[bool]:
    """The webhooks to which a delivery is being sent."""
    held = select(Delivery.id).where(
        Delivery.webhook_id == Webhook.id,
        Delivery.state == DeliveryState.SENDING.value,
        Delivery.due_at > now,
        ~expired(Delivery.due_at, now=now),
    )
    return held.exists()


def _new_delivery(tx: Tx, webhook: Webhook, *, event: Event, job: Job) -> Delivery:
    return Delivery(
        id=str(uuid.uuid4()),
        webhook_id=webhook.id,
        event_id=event.id,
        body={
            "id": str(event.id),
            "type": event.kind,
            "at": event.at,
            "job": {
                "id": job.id,
                "name": job.name,
                "team": job.team,
                "owner": job.owner,
                "workload": job.workload,
                "priority": Priority.of_rank(job.priority).value,
                "state": job.state.value,
            },
            "data": event.data,
        },
        state=DeliveryState.PENDING.value,
        attempts=0,
        due_at=tx.now,
        created_at=tx.now,
    )
