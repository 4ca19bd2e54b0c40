"""Signatures, so that a receiver knows what comes from here and what is old. Pure."""

from __future__ import annotations

import hashlib
import hmac

KEY_PREFIX = "stwh_"
"""Begins every signing key, so that people and secret scanners know one when they see it."""


def signing_key(secret: bytes, *, webhook_id: str, version: int) -> str:
    """The key of a webhook: derived from the service's secret, so that it need not be stored.

    Args:
        secret: The service's own.
        webhook_id: Which webhook.
        version: Rises when the key is to be another one.
    """
    told = f"schedule-tuner webhook {webhook_id} {version}"
    return KEY_PREFIX + hmac.new(secret, told.encode(), hashlib.sha256).hexdigest()


def signature(key: str, *, timestamp: int, body: bytes) -> str:
    """What the header ``X-Tuner-Signature`` says.

    Args:
        key: The webhook's.
        timestamp: What the header ``X-Tuner-Timestamp`` says: seconds since 1970 UTC when the attempt began.
        body: Exactly as it is sent.
    """
    return "v1=" + hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
