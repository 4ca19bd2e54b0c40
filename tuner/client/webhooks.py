"""Webhooks and their deliveries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from tuner.api.webhooks import DeliveryPage, WebhookTest, WebhookWithKey
from tuner.client.transport import Transport, path_segment, without_none
from tuner.jobs.webhooks import DeliveryRecord, DeliveryState, WebhookRecord


class WebhooksApi:
    """Requests about webhooks; `tuner.client.Client.webhooks`.

    Args:
        http: The connections to the service.
    """

    def __init__(self, http: Transport) -> None:
        self._http = http

    def list(self) -> tuple[WebhookRecord, ...]:
        """The webhooks that the caller may see, the oldest first."""
        return self._http.get(tuple[WebhookRecord, ...], "/v1/webhooks")

    def get(self, webhook_id: str) -> WebhookRecord:
        """One webhook."""
        return self._http.get(WebhookRecord, _path(webhook_id))

    def create(self, request: BaseModel | Mapping[str, Any]) -> WebhookWithKey:
        """Send events to a URL from now on. Only this result contains the signing key.

        Args:
            request: The body of ``POST /v1/webhooks``: at least ``{"url": url}``.
        """
        return self._http.send(WebhookWithKey, "POST", "/v1/webhooks", body=request)

    def change(self, webhook_id: str, change: BaseModel | Mapping[str, Any]) -> WebhookRecord:
        """Update a webhook.

        Args:
            webhook_id: The webhook.
            change: Any of ``url``, ``format``, ``events``, ``enabled``. Absent fields stay as they are.
        """
        return self._http.send(WebhookRecord, "PATCH", _path(webhook_id), body=change)

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook."""
        self._http.request("DELETE", _path(webhook_id))

    def test(self, webhook_id: str) -> WebhookTest:
        """Send a test delivery at once, and return the result."""
        return self._http.send(WebhookTest, "POST", f"{_path(webhook_id)}/test")

    def rotate_key(self, webhook_id: str) -> WebhookWithKey:
        """Sign all deliveries from now on with a new key. Only this result contains it."""
        return self._http.send(WebhookWithKey, "POST", f"{_path(webhook_id)}/rotate-key")

    def deliveries(self, webhook_id: str, *, state: DeliveryState | None = None) -> Iterator[DeliveryRecord]:
        """A webhook's deliveries, the newest first. Pages are requested when they are needed.

        Args:
            webhook_id: The webhook.
            state: Only deliveries in this state.
        """
        return self._http.pages(DeliveryPage, f"{_path(webhook_id)}/deliveries", params=without_none({"state": state}))


def _path(webhook_id: str) -> str:
    return f"/v1/webhooks/{path_segment(webhook_id)}"
