"""Rate and concurrency limits. Each process of the service counts for itself."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from tuner_service.errors import TooManyRequests


class RateLimit:
    """A maximum number of requests per time window, for each caller.

    Args:
        rate: ``"100/minute"``; empty for no limit.
    """

    def __init__(self, rate: str) -> None:
        self._item: RateLimitItem | None = parse(rate) if rate else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def take(self, who: str) -> None:
        """Count a request.

        Args:
            who: The caller: the id of a token, an address.

        Raises:
            TooManyRequests: The limit is reached; this request is not counted.
        """
        if self._item is None or self._limiter.hit(self._item, who):
            return
        reset_at = self._limiter.get_window_stats(self._item, who).reset_time
        raise TooManyRequests(str(self._item), seconds=max(1, math.ceil(reset_at - time.time())))

    def is_reached(self, who: str) -> bool:
        """Whether the limit is reached; counts nothing."""
        return self._item is not None and not self._limiter.test(self._item, who)


class ConcurrencyLimit:
    """A maximum number of long operations at a time, for each caller and in all.

    Args:
        maximum: The limit of one caller.
        in_all: The limit of all callers together; none when absent.
        what: The operations' name, in the plural.
        retry_after: Seconds after which a retry may succeed.
    """

    def __init__(self, maximum: int, *, what: str, retry_after: int, in_all: int | None = None) -> None:
        self._maximum = maximum
        self._in_all = in_all
        self._what = what
        self._retry_after = retry_after
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()

    @contextmanager
    def one(self, who: str) -> Iterator[None]:
        """Count one operation while the block runs.

        Args:
            who: The caller.

        Raises:
            TooManyRequests: A limit is reached.
        """
        self.take(who)
        try:
            yield
        finally:
            self.release(who)

    def take(self, who: str, *, amount: int = 1) -> None:
        """Count the start of operations.

        Args:
            who: The caller.
            amount: How many.

        Raises:
            TooManyRequests: A limit is reached; nothing is counted.
        """
        with self._lock:
            if self._running[who] + amount > self._maximum:
                raise TooManyRequests(f"{self._maximum} {self._what} at a time", seconds=self._retry_after)
            if self._in_all is not None and self._running.total() + amount > self._in_all:
                rate = f"{self._in_all} {self._what} of all users at a time"
                raise TooManyRequests(rate, seconds=self._retry_after)
            self._running[who] += amount

    def release(self, who: str, *, amount: int = 1) -> None:
        """Count the end of operations that `take` has counted."""
        with self._lock:
            self._running[who] -= amount
            self._running += Counter()  # drops callers without operations
