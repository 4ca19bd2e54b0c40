"""Stores what a run prints, so that its users can read it without an account on the worker's machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from tuner.errors import DatabaseUnavailable, LeaseLost
from tuner.logs import event_logger

_log = event_logger(__name__)

INTERVAL_SECONDS = 2.0
"""Least time between two pieces; a run that evaluates every millisecond costs no more."""


class ReadOutput(Protocol):
    """Reads what was printed since the last call, as `tuner.driver.runner.Runner.output` does."""

    def __call__(self, *, to_the_end: bool) -> str: ...  # noqa: D102


class LogShipper:
    """Stores what was printed since the last time, without secrets.

    A failure here must not end the run. It is logged, and nothing more of this run is stored; that the database is away
    or the lease lost is raised to the caller.

    Args:
        read: Reads the output of the runs, one after the other.
        hide: Removes secrets.
        clock: Monotonic seconds.
    """

    def __init__(
        self, read: ReadOutput, *, hide: Callable[[str], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._hide = hide
        self._clock = clock
        self._next = 0.0
        self._pending = ""
        self._broken = False

    def begin(self) -> None:
        """Begin the next run: drop what is pending of the last one."""
        self._next = 0.0
        self._pending = ""
        self._broken = False

    def ship(self, append: Callable[[str], None], *, last: bool) -> None:
        """Store what is new, unless that was done a moment ago.

        Args:
            append: Stores a piece. A piece that it cannot store because the database is away is repeated.
            last: Nothing more will be printed.

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
                self._pending += self._hide(self._read(to_the_end=last))
            if self._pending:
                append(self._pending)
            self._pending = ""
        except (DatabaseUnavailable, LeaseLost):
            raise
        except Exception:
            self._broken = True
            _log.exception("log.not_shipped", hint="the run goes on; what it prints is in the worker's own files")
