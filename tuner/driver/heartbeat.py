"""The heartbeat of a worker, beside those of its leases."""

from __future__ import annotations

import time
from collections.abc import Callable

from tuner.store import Store

INTERVAL_SECONDS = 15.0
"""A worker without a heartbeat for a minute is shown as dead."""


class Heartbeat:
    """Records that a worker is alive, no more often than needed.

    Args:
        store: The database.
        worker: The worker's name.
        clock: Monotonic seconds.
    """

    def __init__(self, store: Store, *, worker: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._next = 0.0

    def beat(self) -> None:
        """Send a heartbeat, unless one was sent a moment ago.

        Raises:
            DatabaseUnavailable: The database is away.
        """
        now = self._clock()
        if now >= self._next:
            self._store.workers.beat(self._worker)
            self._next = now + INTERVAL_SECONDS
