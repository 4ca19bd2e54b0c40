"""Signing keys and signed headers of deliveries, as Standard Webhooks defines them. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

from standardwebhooks import Webhook

KEY_PREFIX = "whsec_"
"""The prefix by which receivers' libraries and secret scanners recognize a signing key."""


def signing_key(secret: bytes, *, webhook_id: str, version: int) -> str:
    """The key of a webhook. It is derived from the service's secret, so that it need not be stored.

    Args:
        secret: The service's own.
        webhook_id: The webhook.
        version: Increases with every rotation of the key.
    """
    message = f"schedule-tuner webhook {webhook_id} {version}"
    return KEY_PREFIX + base64.b64encode(hmac.new(secret, message.encode(), hashlib.sha256).digest()).decode()


def signed_headers(key: str, *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers by which a receiver verifies a delivery.

    Args:
        key: The webhook's.
        message_id: The same for every attempt of a delivery.
        timestamp: Seconds since 1970 UTC at the start of the attempt.
        body: Exactly as it is sent.
    """
    signature = Webhook(key).sign(message_id, datetime.fromtimestamp(timestamp, UTC), body.decode())
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}
