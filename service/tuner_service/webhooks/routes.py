"""``/v1/webhooks``: where teams want to be told of what happens to their jobs."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from tuner.errors import NotFound
from tuner.jobs.webhooks import DeliveryState, NewWebhook, WebhookChange, WebhookRecord
from tuner.people.permissions import Role
from tuner_service.access import ActorDep, PrincipalDep, require
from tuner_service.auth.rate_limits import ConcurrencyLimit
from tuner_service.errors import Forbidden
from tuner_service.examples import answer
from tuner_service.json_body import strictly
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import Id, ResourcesDep, StoreDep
from tuner_service.webhooks import schemas
from tuner_service.webhooks.addresses import check_written_address
from tuner_service.webhooks.courier import Courier
from tuner_service.webhooks.messages import test_message
from tuner_service.webhooks.schemas import DeliveryPage, TestAnswer, WebhookWithKey

_ADMIN = declared(catalog.FORBIDDEN)
_MISSING = declared(catalog.NOT_FOUND, catalog.INVALID_REQUEST)
_BODY = declared(catalog.INVALID_REQUEST, catalog.BODY_TOO_LARGE, catalog.NOT_JSON)

router = APIRouter(prefix="/webhooks", tags=["webhooks"], dependencies=[Depends(require(Role.ADMIN))], responses=_ADMIN)


_TRIES = ConcurrencyLimit(4, what="tries of webhooks", again_in=10)
"""Each holds one of the threads that answer everything else, for as long as its receiver likes."""


async def courier(request: Request) -> Courier:
    """What signs and sends."""
    found: Courier = request.app.state.courier
    return found


CourierDep = Annotated[Courier, Depends(courier)]


def managed_webhook(webhook_id: Id, asking: PrincipalDep, store: StoreDep) -> WebhookRecord:
    """The webhook that the path names.

    Raises:
        NotFound: There is none, or it is another team's.
    """
    webhook = store.webhooks.get(webhook_id)
    if asking.team not in (None, webhook.team):
        raise NotFound("webhook", key=webhook_id)
    return webhook


ManagedWebhook = Annotated[WebhookRecord, Depends(managed_webhook)]


@router.get("", summary="List webhooks", responses=answer([schemas.WEBHOOK_EXAMPLE]))
def list_webhooks(asking: PrincipalDep, store: StoreDep) -> tuple[WebhookRecord, ...]:
    """Your team's webhooks, the oldest first; every one for admins of the whole service."""
    return store.webhooks.list(visibility=asking.visibility)


@router.post(
    "",
    summary="Add a webhook",
    status_code=HTTPStatus.CREATED,
    responses={
        **_MISSING,
        **_BODY,
        **declared(catalog.LIMIT_REACHED),
        **answer(schemas.KEY_EXAMPLE, status=HTTPStatus.CREATED),
    },
)
def create_webhook(
    new: Annotated[NewWebhook, strictly(NewWebhook), Body(openapi_examples=schemas.CREATE_EXAMPLES)],
    asking: PrincipalDep,
    by: ActorDep,
    resources: ResourcesDep,
    courier: CourierDep,
    response: Response,
) -> WebhookWithKey:
    """Have events of a team's jobs sent to a URL from now on.

    The answer shows the key that everything is signed with, this once. What is sent, and how a receiver checks it, is
    told in docs/webhooks.md.
    """
    team = new.team or asking.team
    if asking.team not in (None, team):
        raise Forbidden(needed=f"to be an admin of team {team}")
    if not resources.settings.webhooks_allow_private:
        check_written_address(new.url)
    webhook = resources.store.webhooks.create(new.model_copy(update={"team": team}), by=by)
    response.headers["Location"] = f"/v1/webhooks/{webhook.id}"
    return WebhookWithKey.of(webhook, courier=courier)


@router.get("/{webhook_id}", summary="Show a webhook", responses=_MISSING | answer(schemas.WEBHOOK_EXAMPLE))
def show_webhook(webhook: ManagedWebhook) -> WebhookRecord:
    """Where it sends, what, and whose. Its key is not shown again; make a new one with `rotate-key`."""
    return webhook


@router.patch(
    "/{webhook_id}",
    summary="Change a webhook",
    responses=_MISSING | _BODY | answer(schemas.WEBHOOK_EXAMPLE),
)
def change_webhook(
    webhook: ManagedWebhook,
    change: Annotated[WebhookChange, strictly(WebhookChange), Body(openapi_examples=schemas.CHANGE_EXAMPLES)],
    by: ActorDep,
    resources: ResourcesDep,
) -> WebhookRecord:
    """Change its URL, format or events; disable or enable it.

    What is on its way goes out by the new settings. Disabling gives up what is not delivered yet; what happens while it
    is disabled is never told.
    """
    if change.url is not None and not resources.settings.webhooks_allow_private:
        check_written_address(change.url)
    return resources.store.webhooks.change(webhook.id, change, by=by)


@router.delete("/{webhook_id}", summary="Remove a webhook", status_code=HTTPStatus.NO_CONTENT, responses=_MISSING)
def delete_webhook(webhook: ManagedWebhook, by: ActorDep, store: StoreDep) -> None:
    """Send nothing there any more; what was on its way is given up, and its deliveries are forgotten."""
    store.webhooks.delete(webhook.id, by=by)


@router.post("/{webhook_id}/test", summary="Try a webhook out", responses=_MISSING | answer(schemas.TEST_EXAMPLE))
def test_webhook(webhook: ManagedWebhook, store: StoreDep, courier: CourierDep) -> TestAnswer:
    """Send an event of type `webhook.test` at once, and tell what came of it. It is not tried again.

    It is sent to a disabled webhook too. The answer comes within some ten seconds.
    """
    event = test_message(message_id=f"test-{uuid.uuid4()}", at=store.now(), webhook_id=webhook.id)
    with _TRIES.one("everybody"):
        answer = courier.bring(
            event,
            webhook_id=webhook.id,
            url=webhook.url,
            webhook_format=webhook.format,
            key_version=webhook.key_version,
        )
    return TestAnswer(delivered=answer.error is None, status=answer.status, error=answer.error, event_id=event["id"])


@router.post(
    "/{webhook_id}/rotate-key",
    summary="Make a new key",
    responses=_MISSING | answer(schemas.KEY_EXAMPLE),
)
def rotate_key(webhook: ManagedWebhook, by: ActorDep, store: StoreDep, courier: CourierDep) -> WebhookWithKey:
    """Sign everything from now on with a new key, shown this once.

    A receiver that does not know it yet should refuse what it cannot check: that is sent again later.
    """
    return WebhookWithKey.of(store.webhooks.rotate_key(webhook.id, by=by), courier=courier)


@router.get(
    "/{webhook_id}/deliveries",
    summary="List deliveries",
    responses=_MISSING | answer(schemas.DELIVERIES_EXAMPLE),
)
def list_deliveries(
    webhook: ManagedWebhook,
    store: StoreDep,
    state: Annotated[DeliveryState | None, Query(description="Only those in this state.")] = None,
    cursor: Annotated[
        str | None, Query(max_length=18, pattern=r"^[0-9]+$", description="`next_cursor` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Deliveries on the page.")] = 50,
) -> DeliveryPage:
    """What is and was on its way to a webhook, with the last answer; those that ended are kept for 30 days."""
    page = store.webhooks.deliveries(webhook.id, state=state, cursor=cursor, limit=limit)
    return DeliveryPage(items=page.items, next_cursor=page.next_cursor)
