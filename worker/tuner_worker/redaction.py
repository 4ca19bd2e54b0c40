"""Removes the database's password from all text that leaves the worker: its log, and what runs print."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tuner.process.private import database_password, database_passwords

HIDDEN = "***"
LEAST_CHARACTERS = 8
"""A shorter password is hidden inside URLs alone: by itself it would match common words."""


class Redaction:
    """Replaces a database's password in text.

    Args:
        database_url: Holds the password, or none.
        environment: Where libpq reads a password.
    """

    def __init__(self, database_url: str, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        password = database_password(database_url)
        self._replacements: dict[str, str] = {}
        if password is not None:
            self._replacements[f":{password}@"] = f":{HIDDEN}@"
            self._replacements[f"password={password}"] = f"password={HIDDEN}"
        words = (word for word in database_passwords(database_url, environment) if len(word) >= LEAST_CHARACTERS)
        self._replacements.update(dict.fromkeys(sorted(words), HIDDEN))

    def hide(self, text: str) -> str:
        """The text without the password, percent-encoded as in the URL or decoded."""
        for secret, instead in self._replacements.items():
            text = text.replace(secret, instead)
        return text
