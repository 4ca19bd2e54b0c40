"""Logs: an event name and its values, one line each, on standard error.

Lines that a request causes carry its ``request_id``, and the ids that its path names: ``job_id``, ``run_id`` and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog
from starlette.types import Scope
from structlog.typing import EventDict, WrappedLogger

import tuner.logs

_MAX_ID = 200
_request: ContextVar[Scope | None] = ContextVar("request", default=None)


@contextmanager
def logging_of(scope: Scope, *, request_id: str) -> Iterator[None]:
    """Mark all lines that are logged within, in the thread pool too, as caused by a request.

    Args:
        scope: Of the request (ASGI). The ids in its path are known once it is routed, and logged from then on.
        request_id: Its id.
    """
    token = _request.set(scope)
    try:
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            yield
    finally:
        _request.reset(token)


def add_path_ids(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Add the ids in the request's path to a line that does not have them (a structlog processor)."""
    scope = _request.get()
    parameters = {} if scope is None else scope.get("path_params", {})
    for name, value in parameters.items():
        if name.endswith("_id"):
            line.setdefault(name, str(value)[:_MAX_ID])
    return line


def configure_logs() -> None:
    """Send this process's log lines, uvicorn's included, to standard error: for people on a terminal, else as JSON."""
    tuner.logs.configure_logs(add_path_ids)
