"""Logs: an event name and its values, one line each, on standard error.

Lines that a request causes carry its ``request_id``, and the ids that its path names: ``job_id``, ``run_id`` and so on.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog
from starlette.types import Scope
from structlog.typing import EventDict, Processor, WrappedLogger

_MAX_ID = 200
_request: ContextVar[Scope | None] = ContextVar("request", default=None)


@contextmanager
def logging_of(scope: Scope, *, request_id: str) -> Iterator[None]:
    """Mark all lines that are logged within, in the thread pool too, as caused by a request.

    Args:
        scope: Of the request (ASGI). The ids in its path are known once it is routed, and told from then on.
        request_id: Its id.
    """
    token = _request.set(scope)
    try:
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            yield
    finally:
        _request.reset(token)


def add_path_ids(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Add the ids that the request's path names to a line, unless it says them itself (a structlog processor)."""
    scope = _request.get()
    named = {} if scope is None else scope.get("path_params", {})
    for name, value in named.items():
        if name.endswith("_id"):
            line.setdefault(name, str(value)[:_MAX_ID])
    return line


def configure_logs() -> None:
    """Send this process's log lines, uvicorn's included, to standard error: for people on a terminal, else as JSON."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_path_ids,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    for_people = sys.stderr.isatty()
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if for_people
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
