"""One read of the database for any number of callers that wait for its result."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
from fastapi.concurrency import run_in_threadpool

T = TypeVar("T")


class SharedRead(Generic[T]):
    """A value that is read at most once per interval, by one thread at a time.

    Args:
        read: Reads the value.
        interval: Seconds for which a value is used.
        clock: Monotonic seconds.
    """

    def __init__(self, read: Callable[[], T], *, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._interval = interval
        self._clock = clock
        self._lock = anyio.Lock()
        self._latest: tuple[T, float] | None = None

    async def value(self) -> T:
        """The value; what reading it raises goes to the caller that waited for it, and the next caller reads again."""
        async with self._lock:
            if self._latest is None or self._clock() - self._latest[1] >= self._interval:
                self._latest = None
                self._latest = await run_in_threadpool(self._read), self._clock()
            return self._latest[0]
