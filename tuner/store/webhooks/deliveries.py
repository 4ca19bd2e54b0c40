"""What happens becomes deliveries to webhooks, once, and one dispatcher at a time holds each of them.

A webhook remembers the last event that it has looked at. The deliveries of the next ones are stored in the transaction
that moves it on, so every event gets its delivery once, however many dispatchers look. A delivery that is being sent is
held until a time; if its dispatcher dies, another one sends it again: at least once, under the same event id.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.orm import Session

from tuner.jobs.priority import Priority
from tuner.jobs.webhooks import Answer, DeliveryState, DueDelivery, Outcome, WebhookFormat
from tuner.people.roles import Actor
from tuner.store.db.database import Repository, Tx, read_clock, reads, writes
from tuner.store.db.models import Delivery, Event, Job, Webhook
from tuner.store.db.rows import plain_text

_BATCH = 200
_PRUNED_AT_A_TIME = 1_000
_OPEN = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)
OVER = (DeliveryState.DELIVERED.value, DeliveryState.FAILED.value)
"""States of deliveries that are not tried any more, as they are stored."""
_SERVICE = Actor(user="service")
"""Who disables a webhook whose receiver is gone."""


class Deliveries(Repository):
    """Events on their way to webhooks, for those who send them."""

    def enqueue(self) -> int:
        """Make a delivery of every event that a webhook wants and has not yet looked at.

        Returns:
            How many were made.
        """
        return sum(self._enqueue_whole(webhook_id) for webhook_id in self._behind())

    def claim(self, *, hold_seconds: float) -> DueDelivery | None:
        """Take the next delivery that is due, of a webhook to which nothing is being sent.

        One at a time: a slow receiver holds up nobody else, and gets no more than it can take.

        Args:
            hold_seconds: After so long without a word of what came of it, it may be taken again.

        Returns:
            The delivery, or ``None`` when none is due.
        """
        # A look without a lock first: most looks find nothing.
        return self._claim(hold_seconds=hold_seconds) if self._anything_due() else None

    @writes
    def record(self, tx: Tx, due: DueDelivery, *, answer: Answer, outcome: Outcome) -> bool:
        """Note what came of an attempt.

        Returns:
            Whether it was still held; if not, another dispatcher has it, or the webhook is gone or was disabled, and
            nothing was noted.
        """
        webhook = tx.session.scalar(select(Webhook).where(Webhook.id == due.webhook_id).with_for_update(key_share=True))
        held = select(Delivery).where(
            Delivery.id == due.id, Delivery.attempts == due.attempt, Delivery.state == DeliveryState.SENDING.value
        )
        delivery = tx.session.scalar(held.with_for_update())
        if webhook is None or delivery is None:
            return False
        delivery.state = outcome.state.value
        delivery.last_status = answer.status
        delivery.last_error = None if answer.error is None else plain_text(answer.error)
        delivery.due_at = tx.now + (outcome.wait_seconds or 0.0)
        delivery.finished_at = tx.now if outcome.wait_seconds is None else None
        if outcome.disable:
            tx.session.flush()
            disable(tx, webhook, reason="the receiver answered 410: it is gone, and the webhook was disabled")
            tx.audit(_SERVICE, "webhook.disable", target=webhook.id, team=webhook.team, status=answer.status)
        return True

    @writes
    def prune(self, tx: Tx, *, older_than_seconds: float) -> int:
        """Forget deliveries that ended so long ago, some at a time; tell how many."""
        old = (
            select(Delivery.id)
            .where(Delivery.state.in_(OVER), Delivery.due_at < tx.now - older_than_seconds)
            .limit(_PRUNED_AT_A_TIME)
        )
        forgotten = tx.session.execute(delete(Delivery).where(Delivery.id.in_(old)).returning(Delivery.id))
        return len(forgotten.all())

    @reads
    def _behind(self, session: Session) -> Sequence[str]:
        behind = select(Webhook.id).where(Webhook.enabled, Webhook.after_event < latest_event(session))
        return session.scalars(behind.order_by(Webhook.id)).all()

    def _enqueue_whole(self, webhook_id: str) -> int:
        made = 0
        while batch := self._enqueue_some(webhook_id):
            made += batch
            if batch < _BATCH:
                break
        return made

    @writes
    def _enqueue_some(self, tx: Tx, webhook_id: str) -> int:
        wanted = select(Webhook).where(Webhook.id == webhook_id, Webhook.enabled)
        webhook = tx.session.scalar(wanted.with_for_update(skip_locked=True, key_share=True))
        if webhook is None:
            return 0
        # Ids rise in the order of commits: whatever is at or below the latest one can be seen by now.
        latest = latest_event(tx.session)
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
    def _anything_due(self, session: Session) -> bool:
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
            # On PostgreSQL a webhook that another dispatcher looks at is passed over; on SQLite writers come singly.
            .with_for_update(of=Webhook, skip_locked=True, key_share=True)
        )
        webhook = tx.session.scalar(free)
        # Asked again under the lock: another dispatcher may have begun to send there since the query began.
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
    """Send nothing to a webhook any more, and give up what is on its way."""
    webhook.enabled = False
    given_up = update(Delivery).where(Delivery.webhook_id == webhook.id, Delivery.state.in_(_OPEN))
    failed = DeliveryState.FAILED.value
    tx.session.execute(given_up.values(state=failed, last_error=reason, due_at=tx.now, finished_at=tx.now))


def latest_event(session: Session) -> int:
    """Id of the latest event; 0 when there is none."""
    return session.scalar(select(func.max(Event.id))) or 0


def _due(now: float) -> ColumnElement[bool]:
    """Deliveries that may be taken: waiting, or held by a dispatcher that went silent."""
    return and_(Delivery.state.in_(_OPEN), Delivery.due_at <= now)


def _sending(now: float) -> ColumnElement[bool]:
    """Webhooks to which something is being sent."""
    held = select(Delivery.id).where(
        Delivery.webhook_id == Webhook.id, Delivery.state == DeliveryState.SENDING.value, Delivery.due_at > now
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
