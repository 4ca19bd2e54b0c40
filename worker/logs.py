"""How a worker logs: one event name with keys and values, to standard error, never with the database's password."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from worker.runner_environment import database_password

_HIDDEN = "***"


class Redact:
    """A structlog processor that blots a password out of every text of an event, tracebacks included.

    Args:
        database_url: Holds the password, or none.
    """

    def __init__(self, database_url: str) -> None:
        password = database_password(database_url)
        self._secret = None if password is None else f":{password}@"

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Return the event without the password."""
        if self._secret is not None:
            for key, value in event.items():
                if isinstance(value, str):
                    event[key] = value.replace(self._secret, f":{_HIDDEN}@")
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
            Redact(database_url),
            structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
