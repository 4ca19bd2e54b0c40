"""Log lines: an event name with keys and values, one line each.

The library logs through `logging`. The service and the workers render all lines with structlog, which comes with their
extras: for people on a terminal, else as JSON.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

_OF_LOGGING = frozenset({"exc_info", "stack_info", "stacklevel"})
_QUIET = ("uvicorn", "alembic")
_context: ContextVar[Mapping[str, Any]] = ContextVar("log context", default=MappingProxyType({}))


class EventLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs events by name, with keyword arguments as their values: ``log.info("run.branched", step=40)``."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Return the line for people, and the event and its values as attributes of the record."""
        values = {**_context.get(), **{name: kwargs.pop(name) for name in kwargs.keys() - _OF_LOGGING}}
        kwargs["extra"] = {"event": msg, "values": values}
        return " ".join([str(msg), *(f"{name}={value}" for name, value in sorted(values.items()))]), kwargs


def event_logger(name: str) -> EventLogger:
    """The logger of a module."""
    return EventLogger(logging.getLogger(name), {})


@contextmanager
def log_context(**values: Any) -> Iterator[None]:
    """Add values to every event that is logged within."""
    token = _context.set({**_context.get(), **values})
    try:
        yield
    finally:
        _context.reset(token)


def configure_logs(*processors: Processor) -> None:
    """Send this process's log lines, those of its libraries included, to standard error.

    Args:
        processors: Structlog processors that complete or redact each line before it is rendered; tracebacks are text.
    """
    import structlog

    shared: list[Processor] = [
        _restore_event,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    for_people = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        *processors,
        for_people if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _restore_event(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Give a record of an `EventLogger` its event and values back (a structlog processor)."""
    record = line.get("_record")
    if record is not None and hasattr(record, "values"):
        line.update({**record.values, "event": record.event})
    return line
