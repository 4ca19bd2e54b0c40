"""One poll for all event streams of the process: whether anything has happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import anyio
from fastapi.concurrency import run_in_threadpool

RECHECK_SECONDS: Final = 5.0
"""Interval at which a stream reads the database although nothing has happened: its job may have been deleted."""


class LatestEvent:
    """The id of the latest event of all jobs, read at most once per interval for any number of streams.

    Args:
        read: Reads the id from the database.
        interval: Seconds for which a result is used.
        clock: Monotonic seconds.
    """

    def __init__(
        self, read: Callable[[], int], *, interval: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._interval = interval
        self._clock = clock
        self._lock = anyio.Lock()
        self._id = 0
        self._fresh_until = clock()

    async def id(self) -> int:
        """The id; 0 when there is none.

        Raises:
            DatabaseUnavailable: It cannot be read.
        """
        async with self._lock:
            if self._clock() >= self._fresh_until:
                self._id = await run_in_threadpool(self._read)
                self._fresh_until = self._clock() + self._interval
            return self._id
