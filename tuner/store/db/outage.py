"""Logs once that the database is unavailable, and once that it is available again, for a whole process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from tuner.logs import event_logger

Kind = Literal["read", "write"]

_log = event_logger(__name__)


class OutageLog:
    """What the transactions of a process say of the database: one line for each change.

    Reads and writes count apart: reads succeed while another process blocks all writes. The database is available again
    when all kinds that had failed succeed.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failing: set[Kind] = set()
        self._since = 0.0

    def failed(self, kind: Kind, error: Exception) -> None:
        """A transaction could not use the database, in all retries."""
        with self._lock:
            begins = not self._failing
            self._failing.add(kind)
            if begins:
                self._since = self._clock()
        if begins:
            _log.warning("database.unavailable", reason=str(error))

    def succeeded(self, kind: Kind) -> None:
        """A transaction used the database, whatever came of it."""
        if not self._failing:  # without the lock: of each transaction
            return
        with self._lock:
            ends = self._failing == {kind}
            self._failing.discard(kind)
            seconds = self._clock() - self._since
        if ends:
            _log.info("database.available", seconds_unavailable=round(seconds, 1))
