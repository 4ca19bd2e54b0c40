"""How a worker logs: without the database's password."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import tuner.logs
from tuner_worker.redaction import Redaction


class Redact:
    """A structlog processor that hides a password in every text of an event, tracebacks included.

    Args:
        redaction: Knows the password.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Return the event without the password."""
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = self._redaction.hide(value)
        return event


def configure_logs(redaction: Redaction) -> None:
    """Log to standard error from now on."""
    tuner.logs.configure_logs(Redact(redaction))
