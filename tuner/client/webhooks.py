"""Webhooks: where a team wants to be told of its jobs' events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from tuner.client.answers import WebhookTest, WebhookWithKey
from tuner.client.transport import Transport, given, part
from tuner.jobs.webhooks import DeliveryRecord, DeliveryState, WebhookRecord


class Webhooks:
    """The requests that are about webhooks; `tuner.client.Client.webhooks`.

    Args:
        http: The connections to the service.
    """

    def __init__(self, http: Transport) -> None:
        self._http = http

    def list(self) -> tuple[WebhookRecord, ...]:
        """The webhooks that may be seen, the oldest first."""
        return self._http.get(tuple[WebhookRecord, ...], "/v1/webhooks")

    def get(self, webhook_id: str) -> WebhookRecord:
        """One webhook."""
        return self._http.get(WebhookRecord, _path(webhook_id))

    def create(self, request: BaseModel | Mapping[str, Any]) -> WebhookWithKey:
        """Have events sent to a URL from now on. The key that they are signed with is told this once.

        Args:
            request: As ``POST /v1/webhooks`` takes it: at least ``{"url": url}``.
        """
        return self._http.send(WebhookWithKey, "POST", "/v1/webhooks", body=request)

    def change(self, webhook_id: str, change: BaseModel | Mapping[str, Any]) -> WebhookRecord:
        """Change a webhook.

        Args:
            webhook_id: The webhook.
            change: Any of ``url``, ``format``, ``events``, ``enabled``. What is left out stays.
        """
        return self._http.send(WebhookRecord, "PATCH", _path(webhook_id), body=change)

    def delete(self, webhook_id: str) -> None:
        """Send nothing there any more."""
        self._http.ask("DELETE", _path(webhook_id))

    def test(self, webhook_id: str) -> WebhookTest:
        """Send a try at once, and tell what came of it."""
        return self._http.send(WebhookTest, "POST", f"{_path(webhook_id)}/test")

    def rotate_key(self, webhook_id: str) -> WebhookWithKey:
        """Sign everything from now on with a new key, told this once."""
        return self._http.send(WebhookWithKey, "POST", f"{_path(webhook_id)}/rotate-key")

    def deliveries(self, webhook_id: str, *, state: DeliveryState | None = None) -> Iterator[DeliveryRecord]:
        """What is and was on its way to a webhook, the newest first; pages are fetched as they are needed.

        Args:
            webhook_id: The webhook.
            state: Only those in this state.
        """
        return self._http.pages(DeliveryRecord, f"{_path(webhook_id)}/deliveries", params=given({"state": state}))


def _path(webhook_id: str) -> str:
    return f"/v1/webhooks/{part(webhook_id)}"
