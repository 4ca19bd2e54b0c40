"""Failures of tasks that repeat for ever: a line for each change, not for each repetition."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from tuner.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)


class RepeatedTask:
    """Survives the failures of a task, and logs one when it differs from that of the time before.

    Args:
        event: Logged with the traceback of a failure.
        at: The task's name.
    """

    def __init__(self, event: str, *, at: str) -> None:
        self._event = event
        self._at = at
        self._last: tuple[type[Exception], str] | None = None

    def run(self, task: Callable[[], object]) -> bool:
        """Do the task once; whether it succeeded. Of an outage the store logs the beginning and the end."""
        try:
            task()
        except DatabaseUnavailable:
            return False
        except Exception as error:
            failure = (type(error), str(error))
            if failure != self._last:
                log.exception(self._event, at=self._at)
            self._last = failure
            return False
        self._last = None
        return True
