"""Webhooks: where teams want to be told of their jobs, and what became of what was to be told."""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from tuner.errors import LimitReached, NotFound
from tuner.jobs.records import EVERYTHING, Visibility
from tuner.jobs.webhooks import (
    DeliveryRecord,
    DeliveryState,
    NewWebhook,
    WebhookChange,
    WebhookEvent,
    WebhookFormat,
    WebhookRecord,
)
from tuner.people.roles import LOCAL_ACTOR, Actor
from tuner.store.db.database import Repository, Tx, reads, writes
from tuner.store.db.models import Delivery, Webhook
from tuner.store.db.pages import Page, check_limit, page_of, place_of
from tuner.store.people.accounts import locked_team
from tuner.store.webhooks.deliveries import OVER, disable, latest_event

MAX_WEBHOOKS = 50
"""Of one team, and of the whole service besides."""


class Webhooks(Repository):
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
            after_event=latest_event(tx.session),
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
            disable(tx, webhook, reason="the webhook was disabled")
        elif change.enabled and not webhook.enabled:
            webhook.enabled = True
            webhook.after_event = latest_event(tx.session)
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
        check_limit(limit)
        query = select(Delivery).where(Delivery.webhook_id == webhook_id).order_by(Delivery.event_id.desc())
        if state is not None:
            query = query.where(Delivery.state == state.value)
        if cursor is not None:
            query = query.where(Delivery.event_id < place_of(cursor))
        found = session.scalars(query.limit(limit + 1)).all()
        return page_of(found, limit=limit, record=_delivery_record, place=lambda delivery: delivery.event_id)


def _lock(tx: Tx, webhook_id: str) -> Webhook:
    webhook = tx.session.scalar(select(Webhook).where(Webhook.id == webhook_id).with_for_update())
    if webhook is None:
        raise NotFound("webhook", key=webhook_id)
    return webhook


def _of_team(team: str | None) -> ColumnElement[bool]:
    return Webhook.team.is_(None) if team is None else Webhook.team == team


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


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
        next_attempt_at=None if delivery.state in OVER else delivery.due_at,
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        created_at=delivery.created_at,
        finished_at=delivery.finished_at,
    )
