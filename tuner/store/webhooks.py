"""Webhooks and their deliveries: what happened becomes a delivery once, and one dispatcher at a time holds it.

A webhook remembers the last event that it has looked at. The deliveries of the next ones are stored in the transaction
that moves it on, so every event gets its delivery once, however many dispatchers look. A delivery that is being sent is
held until a time; if its dispatcher dies, another one sends it again: at least once, under the same event id.
"""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

import uuid
from collections.abc import Sequence
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.orm import Session

from tuner.errors import InvalidValue, LimitReached, NotFound
from tuner.jobs.priority import Priority
from tuner.jobs.records import EVERYTHING, Visibility
from tuner.jobs.webhooks import (
    Answer,
    DeliveryRecord,
    DeliveryState,
    DueDelivery,
    NewWebhook,
    Outcome,
    WebhookChange,
    WebhookEvent,
    WebhookFormat,
    WebhookRecord,
)
from tuner.people.roles import LOCAL_ACTOR, Actor
from tuner.store.accounts import locked_team
from tuner.store.database import Part, Tx, read_clock, reads, writes
from tuner.store.job_list import MAX_PAGE, Page
from tuner.store.models import Delivery, Event, Job, Webhook
from tuner.store.rows import plain_text

MAX_WEBHOOKS = 50
"""Of one team, and of the whole service besides."""
_BATCH = 200
_PRUNED_AT_A_TIME = 1_000
_OPEN = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)
_OVER = (DeliveryState.DELIVERED.value, DeliveryState.FAILED.value)
_SERVICE = Actor(user="service")
"""Who disables a webhook whose receiver is gone."""


class Webhooks(Part):
    """Where teams want to be told, and what is on its way to them."""

    @writes
    def create(self, tx: Tx, new: NewWebhook, *, by: Actor = LOCAL_ACTOR) -> WebhookRecord:
        """Add a webhook. It is told what happens from now on.

        Args:
            new: What is asked for; without a team, every team's jobs are told of.
            by: Who adds it.

        Raises:
            NotFound: There is no such team.
            LimitReached: The team has as many webhooks as a team can have.
        """
        if new.team is not None:
            locked_team(tx.session, new.team)
        there = tx.session.scalar(select(func.count()).select_from(Webhook).where(_of_team(new.team))) or 0
        if there >= MAX_WEBHOOKS:
            of = "the service" if new.team is None else f"team {new.team}"
            raise LimitReached("webhooks", of=of, value=there + 1, allowed=MAX_WEBHOOKS)
        webhook = Webhook(
            id=str(uuid.uuid4()),
            team=new.team,
            url=new.url,
            format=new.format.value,
            events=[event.value for event in new.events],
            enabled=True,
            key_version=1,
            after_event=_latest(tx.session),
            created_by=by.user,
            created_at=tx.now,
        )
        tx.session.add(webhook)
        told = {"host": _host(webhook.url), "format": webhook.format, "events": webhook.events}
        tx.audit(by, "webhook.create", target=webhook.id, team=webhook.team, **told)
        return _record(webhook)

    @reads
    def list(self, session: Session, *, visibility: Visibility = EVERYTHING) -> tuple[WebhookRecord, ...]:
        """The webhooks of the teams that may be seen, the oldest first; those of the whole service with everything."""
        query = select(Webhook).order_by(Webhook.created_at, Webhook.id)
        if visibility.teams is not None:
            query = query.where(Webhook.team.in_(visibility.teams))
        return tuple(_record(webhook) for webhook in session.scalars(query))

    @reads
    def get(self, session: Session, webhook_id: str) -> WebhookRecord:
        """One webhook.

        Raises:
            NotFound: There is no such webhook.
        """
        webhook = session.get(Webhook, webhook_id)
        if webhook is None:
            raise NotFound("webhook", key=webhook_id)
        return _record(webhook)

    @writes
    def change(self, tx: Tx, webhook_id: str, change: WebhookChange, *, by: Actor = LOCAL_ACTOR) -> WebhookRecord:
        """Change a webhook. What is on its way goes out by its new settings.

        Disabling gives up what is not delivered yet; once enabled again it is told what happens from then on.

        Raises:
            NotFound: There is no such webhook.
        """
        webhook = _lock(tx, webhook_id)
        told = change.model_dump(mode="json", exclude_none=True)
        if change.url is not None:
            webhook.url = change.url
            told["host"] = _host(told.pop("url"))  # the rest of the URL may be a secret
        if change.format is not None:
            webhook.format = change.format.value
        if change.events is not None:
            webhook.events = [event.value for event in change.events]
        if change.enabled is False:
            _disable(tx, webhook, reason="the webhook was disabled")
        elif change.enabled and not webhook.enabled:
            webhook.enabled = True
            webhook.after_event = _latest(tx.session)
        tx.audit(by, "webhook.change", target=webhook.id, team=webhook.team, **told)
        return _record(webhook)

    @writes
    def rotate_key(self, tx: Tx, webhook_id: str, *, by: Actor = LOCAL_ACTOR) -> WebhookRecord:
        """Have everything that is sent from now on signed with a new key.

        Raises:
            NotFound: There is no such webhook.
        """
        webhook = _lock(tx, webhook_id)
        webhook.key_version += 1
        tx.audit(by, "webhook.rotate-key", target=webhook.id, team=webhook.team, key_version=webhook.key_version)
        return _record(webhook)

    @writes
    def delete(self, tx: Tx, webhook_id: str, *, by: Actor = LOCAL_ACTOR) -> None:
        """Remove a webhook, and with it its deliveries.

        Raises:
            NotFound: There is no such webhook.
        """
        webhook = _lock(tx, webhook_id)
        tx.audit(by, "webhook.delete", target=webhook.id, team=webhook.team, host=_host(webhook.url))
        tx.session.execute(delete(Delivery).where(Delivery.webhook_id == webhook.id))
        tx.session.execute(delete(Webhook).where(Webhook.id == webhook.id))

    @reads
    def deliveries(
        self,
        session: Session,
        webhook_id: str,
        *,
        state: DeliveryState | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[DeliveryRecord]:
        """What is and was on its way to a webhook, the newest event first.

        Args:
            webhook_id: The webhook; one that does not exist has no deliveries.
            state: Only those in this state; all when absent.
            cursor: ``next_cursor`` of the page before; the first page when absent.
            limit: Deliveries on the page, 1 to 500.

        Raises:
            InvalidValue: The limit is out of range, or the cursor is none of ours.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidValue("limit", value=limit, allowed=f"in [1, {MAX_PAGE}]")
        query = select(Delivery).where(Delivery.webhook_id == webhook_id).order_by(Delivery.event_id.desc())
        if state is not None:
            query = query.where(Delivery.state == state.value)
        if cursor is not None:
            query = query.where(Delivery.event_id < _place(cursor))
        found = session.scalars(query.limit(limit + 1)).all()
        more = len(found) > limit
        return Page(
            items=tuple(_delivery_record(delivery) for delivery in found[:limit]),
            next_cursor=str(found[limit - 1].event_id) if more else None,
        )

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
            _disable(tx, webhook, reason="the receiver answered 410: it is gone, and the webhook was disabled")
            tx.audit(_SERVICE, "webhook.disable", target=webhook.id, team=webhook.team, status=answer.status)
        return True

    @writes
    def prune(self, tx: Tx, *, older_than_seconds: float) -> int:
        """Forget deliveries that ended so long ago, some at a time; tell how many."""
        old = (
            select(Delivery.id)
            .where(Delivery.state.in_(_OVER), Delivery.due_at < tx.now - older_than_seconds)
            .limit(_PRUNED_AT_A_TIME)
        )
        forgotten = tx.session.execute(delete(Delivery).where(Delivery.id.in_(old)).returning(Delivery.id))
        return len(forgotten.all())

    @reads
    def _behind(self, session: Session) -> Sequence[str]:
        behind = select(Webhook.id).where(Webhook.enabled, Webhook.after_event < _latest(session))
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
        latest = _latest(tx.session)
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


def _lock(tx: Tx, webhook_id: str) -> Webhook:
    webhook = tx.session.scalar(select(Webhook).where(Webhook.id == webhook_id).with_for_update())
    if webhook is None:
        raise NotFound("webhook", key=webhook_id)
    return webhook


def _disable(tx: Tx, webhook: Webhook, *, reason: str) -> None:
    webhook.enabled = False
    given_up = update(Delivery).where(Delivery.webhook_id == webhook.id, Delivery.state.in_(_OPEN))
    failed = DeliveryState.FAILED.value
    tx.session.execute(given_up.values(state=failed, last_error=reason, due_at=tx.now, finished_at=tx.now))


def _due(now: float) -> ColumnElement[bool]:
    """Deliveries that may be taken: waiting, or held by a dispatcher that went silent."""
    return and_(Delivery.state.in_(_OPEN), Delivery.due_at <= now)


def _sending(now: float) -> ColumnElement[bool]:
    """Webhooks to which something is being sent."""
    held = select(Delivery.id).where(
        Delivery.webhook_id == Webhook.id, Delivery.state == DeliveryState.SENDING.value, Delivery.due_at > now
    )
    return held.exists()


def _of_team(team: str | None) -> ColumnElement[bool]:
    return Webhook.team.is_(None) if team is None else Webhook.team == team


def _latest(session: Session) -> int:
    return session.scalar(select(func.max(Event.id))) or 0


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _place(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise InvalidValue("cursor", value=cursor, allowed="`next_cursor` of the page before")
    return int(cursor)


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


def _record(webhook: Webhook) -> WebhookRecord:
    return WebhookRecord(
        id=webhook.id,
        team=webhook.team,
        url=webhook.url,
        format=WebhookFormat(webhook.format),
        events=tuple(WebhookEvent(event) for event in webhook.events),
        enabled=webhook.enabled,
        key_version=webhook.key_version,
        created_by=webhook.created_by,
        created_at=webhook.created_at,
    )


def _delivery_record(delivery: Delivery) -> DeliveryRecord:
    state = DeliveryState(delivery.state)
    return DeliveryRecord(
        id=delivery.id,
        webhook_id=delivery.webhook_id,
        event_id=str(delivery.event_id),
        type=delivery.body["type"],
        job_id=delivery.body["job"]["id"],
        state=state,
        attempts=delivery.attempts,
        next_attempt_at=None if delivery.state in _OVER else delivery.due_at,
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        created_at=delivery.created_at,
        finished_at=delivery.finished_at,
    )
