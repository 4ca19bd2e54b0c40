"""API tokens and browser sessions: random, shown once, stored as a digest."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

MAX_LIFETIME_SECONDS = 10 * 365 * 86_400.0
"""Ten years."""
PREFIX = "stt_"
"""The first characters of every token, for secret scanners."""
_RANDOM: Final = r"[A-Za-z0-9_-]{43}"  # 256 bits


def new_token() -> str:
    """A new token with 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Whether a text has the form of a token; any other text is none, without a look at the database."""
    return re.fullmatch(PREFIX + _RANDOM, text) is not None


def new_session() -> str:
    """The secret of a new browser session, with 256 random bits."""
    return secrets.token_urlsafe(32)


def is_session(text: str) -> bool:
    """Whether a text has the form of a browser session's secret."""
    return re.fullmatch(_RANDOM, text) is not None


def digest(secret: str) -> str:
    """The stored form of a secret: its SHA-256 in hexadecimal. No salt is needed for 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()
