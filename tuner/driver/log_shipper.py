"""Passes on what a run prints, so that its users can read it without an account on the worker's machine."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from tuner.errors import DatabaseUnavailable, LeaseLost
from tuner_worker.runner.log import RunnerLog
from tuner_worker.runner.redaction import Redaction

_log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 2.0
"""Least time between two pieces; a run that evaluates every millisecond costs no more."""


class LogShipper:
    """Takes what was printed since the last time, and has it stored without the database's password.

    A run is worth more than its log: whatever goes wrong here, except that the database is away or the lease lost,
    which the caller has to know, is logged and ends the shipping, not the run.

    Args:
        log: What the run prints.
        redaction: Knows what must not be seen.
        clock: Monotonic seconds.
    """

    def __init__(self, log: RunnerLog, *, redaction: Redaction, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._redaction = redaction
        self._clock = clock
        self._next = 0.0
        self._pending = ""
        self._broken = False

    def begin(self, what: str) -> None:
        """A run begins: what was printed before is no concern of it."""
        self._log.mark(what)
        self._next = 0.0
        self._pending = ""
        self._broken = False

    def ship(self, append: Callable[[str], None], *, last: bool) -> None:
        """Pass on what is new, unless that was done a moment ago.

        Args:
            append: Stores a piece. What it could not store because the database was away is offered to it again.
            last: Nothing more will be printed: now or never.

        Raises:
            DatabaseUnavailable: The database is away.
            LeaseLost: The lease is no longer held.
        """
        now = self._clock()
        if self._broken or not (last or now >= self._next):
            return
        self._next = now + INTERVAL_SECONDS
        try:
            if last or not self._pending:
                self._pending += self._redaction.hide(self._log.fresh(to_the_end=last))
            if self._pending:
                append(self._pending)
            self._pending = ""
        except (DatabaseUnavailable, LeaseLost):
            raise
        except Exception:
            self._broken = True
            _log.exception("log.not_shipped", hint="the run goes on; what it prints is in the worker's own files")
