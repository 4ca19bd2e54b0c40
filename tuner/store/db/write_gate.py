"""Refuses writes to a SQLite file whose write lock another process holds for long, without a wait for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tuner.errors import DatabaseUnavailable

MAX_WAITING: Final = 20
"""Writers that may wait at a time, once the first of them has waited for long: a service has 40 threads."""
LONG_SECONDS: Final = 0.25


class DatabaseLocked(DatabaseUnavailable):
    """Another writer held the write lock for as long as the transaction could wait."""


class WriteGate:
    """Once a write has waited in vain, lets one writer at a time wait for the lock and refuses the others.

    Otherwise each blocked write would hold a thread of the service for as long as it waits, until none is left for
    reads.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._inside: dict[object, float] = {}
        self._blocked = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Around one transaction that writes; a `DatabaseLocked` from within closes the gate, any other end opens it.

        Raises:
            DatabaseLocked: The file is blocked, and another writer waits for it.
        """
        writer = object()
        with self._lock:
            self._check()
            self._inside[writer] = self._clock()
        blocked = False
        try:
            yield
        except DatabaseLocked:
            blocked = True
            raise
        finally:
            with self._lock:
                del self._inside[writer]
                self._blocked = blocked

    def _check(self) -> None:
        waiting = len(self._inside)
        long = waiting >= MAX_WAITING and self._clock() - min(self._inside.values()) > LONG_SECONDS
        if long or (self._blocked and waiting):
            raise DatabaseLocked("another process holds the database's write lock")
