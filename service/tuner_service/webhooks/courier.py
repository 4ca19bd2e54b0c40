"""Brings one message to one webhook: written in its format, signed with its key, sent once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from tuner.jobs.webhooks import Answer, WebhookFormat
from tuner_service.webhooks.messages import encode
from tuner_service.webhooks.sender import Sender
from tuner_service.webhooks.signing import signature, signing_key


class Courier:
    """Signs and sends.

    Args:
        secret: The service's own, that the webhooks' keys are derived from. Services over one database share it.
        sender: Posts.
        clock: Seconds since 1970 UTC, for the timestamps.
    """

    def __init__(self, *, secret: bytes, sender: Sender, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._sender = sender
        self._clock = clock

    def key(self, webhook_id: str, *, version: int) -> str:
        """What a webhook's deliveries are signed with."""
        return signing_key(self._secret, webhook_id=webhook_id, version=version)

    def bring(
        self,
        event: Mapping[str, Any],
        *,
        webhook_id: str,
        url: str,
        webhook_format: WebhookFormat,
        key_version: int,
    ) -> Answer:
        """Send an event, and tell what came of it."""
        body = encode(event, webhook_format=webhook_format)
        timestamp = int(self._clock())
        key = self.key(webhook_id, version=key_version)
        return self._sender.post(
            url,
            body=body,
            headers={
                "Content-Type": "application/json",
                "X-Tuner-Event-Id": event["id"],
                "X-Tuner-Timestamp": str(timestamp),
                "X-Tuner-Signature": signature(key, timestamp=timestamp, body=body),
            },
        )
