"""API tokens: random, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import secrets

MAX_LIFETIME_SECONDS = 10 * 365 * 86_400.0

PREFIX = "stt_"
"""Begins every token, so that people and secret scanners know one when they see it."""


def new_token() -> str:
    """A fresh token with 256 bits of chance."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is stored of a token: its SHA-256, in hexadecimal. Enough for a secret that nobody can guess."""
    return hashlib.sha256(token.encode()).hexdigest()
