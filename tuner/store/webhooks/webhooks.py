"""Webhooks: the receivers of job events, and their deliveries."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from tuner.errors import LimitReached, NotFound
from tuner.jobs.webhooks import (
    DeliveryRecord,
    DeliveryState,
    NewWebhook,
    WebhookChange,
    WebhookEvent,
    WebhookFormat,
    WebhookRecord,
)
from tuner.people.permissions import EVERYTHING, LOCAL_ACTOR, Actor, Visibility
from tuner.store.db.database import Repository, Tx, reads, writes
from tuner.store.db.models import Delivery, Webhook
from tuner.store.db.pages import Page, read_page
from tuner.store.jobs.events import latest_event_id
from tuner.store.people.people_rows import lock_team
from tuner.store.webhooks.deliveries import ENDED_STATES, disable

MAX_WEBHOOKS = 50
"""Maximum per team, and for the webhooks of the whole service."""


class Webhooks(Repository):
    """The webhooks of teams and of the service."""

    @writes
    def create(self, tx: Tx, new: NewWebhook, *, by: Actor = LOCAL_ACTOR) -> WebhookRecord:
        """Create a webhook. It gets the events from now on.

        Args:
            new: The request; without a team, the webhook gets the events of every team.
            by: The actor.

        Raises:
            NotFound: There is no such team.
            LimitReached: The team has the maximum of webhooks.
        """
        if new.team is not None:
            lock_team(tx.session, new.team)
        existing = tx.session.scalar(select(func.count()).select_from(Webhook).where(_of_team(new.team))) or 0
        if existing >= MAX_WEBHOOKS:
            of = "the service" if new.team is None else f"team {new.team}"
            raise LimitReached("webhooks", of=of, value=existing + 1, allowed=MAX_WEBHOOKS)
        webhook = Webhook(
            id=str(uuid.uuid4()),
            team=new.team,
            url=new.url,
            format=new.format.value,
            events=[event.value for event in new.events],
            enabled=True,
            key_version=1,
            after_event=latest_event_id(tx.session),
            created_by=by.user,
            created_at=tx.now,
        )
        tx.session.add(webhook)
        details = {"host": _host(webhook.url), "format": webhook.format, "events": webhook.events}
        tx.audit(by, "webhook.create", target=webhook.id, team=webhook.team, **details)
        return _record(webhook)

    @reads
    def list(self, session: Session, *, visibility: Visibility = EVERYTHING) -> tuple[WebhookRecord, ...]:
        """The webhooks of the visible teams, the oldest first; those of the service only with `EVERYTHING`."""
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
        """Change a webhook. Pending deliveries use the new settings.

        Disabling fails the pending deliveries; once enabled again the webhook gets the events from then on.

        Raises:
            NotFound: There is no such webhook.
        """
        webhook = _lock(tx, webhook_id)
        details = change.model_dump(mode="json", exclude_none=True)
        if change.url is not None:
            webhook.url = change.url
            details["host"] = _host(details.pop("url"))  # the rest of the URL may be a secret
        if change.format is not None:
            webhook.format = change.format.value
        if change.events is not None:
            webhook.events = [event.value for event in change.events]
        if change.enabled is False:
            disable(tx, webhook, reason="the webhook was disabled")
        elif change.enabled and not webhook.enabled:
            webhook.enabled = True
            webhook.after_event = latest_event_id(tx.session)
        tx.audit(by, "webhook.change", target=webhook.id, team=webhook.team, **details)
        return _record(webhook)

    @writes
    def rotate_key(self, tx: Tx, webhook_id: str, *, by: Actor = LOCAL_ACTOR) -> WebhookRecord:
        """Rotate the signing key: later deliveries are signed with the new one.

        Raises:
            NotFound: There is no such webhook.
        """
        webhook = _lock(tx, webhook_id)
        webhook.key_version += 1
        tx.audit(by, "webhook.rotate-key", target=webhook.id, team=webhook.team, key_version=webhook.key_version)
        return _record(webhook)

    @writes
    def delete(self, tx: Tx, webhook_id: str, *, by: Actor = LOCAL_ACTOR) -> None:
        """Delete a webhook with its deliveries.

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
        """The deliveries of a webhook, the newest event first.

        Args:
            webhook_id: The webhook; one that does not exist has no deliveries.
            state: Only those in this state; all when absent.
            cursor: ``next_cursor`` of the previous page; the first page when absent.
            limit: Deliveries on the page, 1 to 500.

        Raises:
            InvalidValue: The limit is out of range, or the cursor is invalid.
        """
        query = select(Delivery).where(Delivery.webhook_id == webhook_id)
        if state is not None:
            query = query.where(Delivery.state == state.value)
        key = Delivery.event_id
        return read_page(
            session, query, key=key, record=_delivery_record, cursor=cursor, limit=limit, newest_first=True
        )


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
        next_attempt_at=None if delivery.state in ENDED_STATES else delivery.due_at,
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        created_at=delivery.created_at,
        finished_at=delivery.finished_at,
    )
