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


class ConcurrencyLimit:
    """A maximum number of long operations at a time, for each caller.

    Args:
        maximum: The limit.
        what: The operations' name, in the plural.
        retry_after: Seconds after which a retry may succeed.
    """

    def __init__(self, maximum: int, *, what: str, retry_after: int) -> None:
        self._maximum = maximum
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
            TooManyRequests: The limit is reached.
        """
        with self._lock:
            if self._running[who] >= self._maximum:
                raise TooManyRequests(f"{self._maximum} {self._what} at a time", seconds=self._retry_after)
            self._running[who] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[who] -= 1
                self._running += Counter()  # drops callers without operations
