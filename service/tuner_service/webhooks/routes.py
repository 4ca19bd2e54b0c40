"""``/v1/webhooks``: webhooks of teams, and their deliveries."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from tuner.api.webhooks import DeliveryPage, WebhookTest, WebhookWithKey
from tuner.errors import NotFound
from tuner.jobs.webhooks import DeliveryState, NewWebhook, WebhookChange, WebhookRecord
from tuner.people.permissions import Role
from tuner_service.access import ActorDep, PrincipalDep, require
from tuner_service.auth.rate_limits import ConcurrencyLimit
from tuner_service.errors import Forbidden
from tuner_service.json_body import StrictRoute, strict_body
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import Id, ResourcesDep, StoreDep
from tuner_service.webhooks.addresses import check_written_address
from tuner_service.webhooks.messages import test_message
from tuner_service.webhooks.sender import WebhookSender

_ADMIN = problem_responses(catalog.FORBIDDEN)
_MISSING = problem_responses(catalog.NOT_FOUND, catalog.INVALID_REQUEST)
_BODY = problem_responses(catalog.INVALID_REQUEST, catalog.BODY_TOO_LARGE, catalog.NOT_JSON)

router = APIRouter(
    prefix="/webhooks",
    tags=["webhooks"],
    dependencies=[Depends(require(Role.ADMIN))],
    responses=_ADMIN,
    route_class=StrictRoute,
)


_TESTS = ConcurrencyLimit(4, in_all=12, what="webhook tests", retry_after=10)
"""Each test occupies a thread of the request pool until its receiver responds."""


async def sender(request: Request) -> WebhookSender:
    """The application's sender."""
    found: WebhookSender = request.app.state.webhook_sender
    return found


SenderDep = Annotated[WebhookSender, Depends(sender)]


def managed_webhook(webhook_id: Id, principal: PrincipalDep, store: StoreDep) -> WebhookRecord:
    """The webhook that the path names.

    Raises:
        NotFound: It does not exist, or belongs to another team.
    """
    webhook = store.webhooks.get(webhook_id)
    if principal.team not in (None, webhook.team):
        raise NotFound("webhook", key=webhook_id)
    return webhook


ManagedWebhook = Annotated[WebhookRecord, Depends(managed_webhook)]


@router.get("", summary="List webhooks")
def list_webhooks(principal: PrincipalDep, store: StoreDep) -> tuple[WebhookRecord, ...]:
    """Your team's webhooks, the oldest first; every one for admins of the whole service."""
    return store.webhooks.list(visibility=principal.visibility)


@router.post(
    "",
    summary="Create a webhook",
    status_code=HTTPStatus.CREATED,
    responses=_MISSING | _BODY | problem_responses(catalog.LIMIT_REACHED),
)
def create_webhook(
    new: Annotated[NewWebhook, strict_body(NewWebhook)],
    principal: PrincipalDep,
    actor: ActorDep,
    resources: ResourcesDep,
    sender: SenderDep,
    response: Response,
) -> WebhookWithKey:
    """Send the events of a team's jobs to a URL from now on.

    Only this response contains the key that signs the deliveries. docs/webhooks.md describes the deliveries and their
    verification.
    """
    team = new.team or principal.team
    if principal.team not in (None, team):
        raise Forbidden(needed=f"to be an admin of team {team}")
    if not resources.settings.webhooks_allow_private:
        check_written_address(new.url)
    webhook = resources.store.webhooks.create(new.model_copy(update={"team": team}), by=actor)
    response.headers["Location"] = f"/v1/webhooks/{webhook.id}"
    return _with_key(webhook, sender=sender)


@router.get("/{webhook_id}", summary="Get a webhook", responses=_MISSING)
def get_webhook(webhook: ManagedWebhook) -> WebhookRecord:
    """Its URL, format, events and team. The key is not shown again; `rotate-key` creates a new one."""
    return webhook


@router.patch(
    "/{webhook_id}",
    summary="Update a webhook",
    responses=_MISSING | _BODY,
)
def update_webhook(
    webhook: ManagedWebhook,
    change: Annotated[WebhookChange, strict_body(WebhookChange)],
    actor: ActorDep,
    resources: ResourcesDep,
) -> WebhookRecord:
    """Change its URL, format or events; disable or enable it.

    Pending deliveries use the new settings. Disabling abandons pending deliveries; events that happen while the webhook
    is disabled are never sent.
    """
    if change.url is not None and not resources.settings.webhooks_allow_private:
        check_written_address(change.url)
    return resources.store.webhooks.change(webhook.id, change, by=actor)


@router.delete("/{webhook_id}", summary="Delete a webhook", status_code=HTTPStatus.NO_CONTENT, responses=_MISSING)
def delete_webhook(webhook: ManagedWebhook, actor: ActorDep, store: StoreDep) -> None:
    """Stop sending to the webhook, abandon its pending deliveries, and delete its delivery history."""
    store.webhooks.delete(webhook.id, by=actor)


@router.post("/{webhook_id}/test", summary="Test a webhook", responses=_MISSING)
def test_webhook(webhook: ManagedWebhook, store: StoreDep, sender: SenderDep, principal: PrincipalDep) -> WebhookTest:
    """Send an event of type `webhook.test` at once, and return the result. There is one attempt.

    A disabled webhook can be tested, too. The response comes within about ten seconds.
    """
    event = test_message(message_id=f"test-{uuid.uuid4()}", at=store.now(), webhook_id=webhook.id)
    with _TESTS.one(principal.user):
        response = sender.deliver(
            event,
            webhook_id=webhook.id,
            url=webhook.url,
            webhook_format=webhook.format,
            key_version=webhook.key_version,
        )
    return WebhookTest(
        delivered=response.error is None, status=response.status, error=response.error, event_id=event["id"]
    )


@router.post(
    "/{webhook_id}/rotate-key",
    summary="Rotate a webhook's signing key",
    responses=_MISSING,
)
def rotate_webhook_key(webhook: ManagedWebhook, actor: ActorDep, store: StoreDep, sender: SenderDep) -> WebhookWithKey:
    """Sign all deliveries from now on with a new key. Only this response contains it.

    A receiver that does not have the new key yet should refuse what it cannot verify: the service repeats it later.
    """
    return _with_key(store.webhooks.rotate_key(webhook.id, by=actor), sender=sender)


@router.get(
    "/{webhook_id}/deliveries",
    summary="List a webhook's deliveries",
    responses=_MISSING,
)
def list_deliveries(
    webhook: ManagedWebhook,
    store: StoreDep,
    state: Annotated[DeliveryState | None, Query(description="Only deliveries in this state.")] = None,
    cursor: Annotated[
        str | None, Query(max_length=18, pattern=r"^[0-9]+$", description="`next_cursor` of the previous page.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Deliveries per page.")] = 50,
) -> DeliveryPage:
    """Pending and finished deliveries with their last response. Finished deliveries stay for 30 days."""
    page = store.webhooks.deliveries(webhook.id, state=state, cursor=cursor, limit=limit)
    return DeliveryPage(items=page.items, next_cursor=page.next_cursor)


def _with_key(webhook: WebhookRecord, *, sender: WebhookSender) -> WebhookWithKey:
    return WebhookWithKey(webhook=webhook, key=sender.key(webhook.id, version=webhook.key_version))
