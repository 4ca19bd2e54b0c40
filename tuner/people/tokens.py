"""API tokens: random, shown once, stored as a digest."""

from __future__ import annotations

import hashlib
import secrets

MAX_LIFETIME_SECONDS = 10 * 365 * 86_400.0
"""Ten years."""
PREFIX = "stt_"
"""The first characters of every token, for secret scanners."""


def new_token() -> str:
    """A new token with 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """The stored form of a token: its SHA-256 in hexadecimal. No salt is needed for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()
