"""How a worker logs: one event name with keys and values, to standard error, never with the database's password."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from tuner_worker.runner.redaction import Redaction


class Redact:
    """A structlog processor that blots a password out of every text of an event, tracebacks included.

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


def configure_logs(*, database_url: str) -> None:
    """Log to standard error from now on: coloured lines on a terminal, else one JSON object a line."""
    on_terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            Redact(Redaction(database_url)),
            structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
