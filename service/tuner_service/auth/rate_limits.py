"""How often somebody may ask. Counted in this process: with several services each counts for itself."""

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
    """A number of requests in a time, for each who asks.

    Args:
        rate: ``"100/minute"``; empty for no limit.
    """

    def __init__(self, rate: str) -> None:
        self._item: RateLimitItem | None = parse(rate) if rate else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def take(self, who: str) -> None:
        """Count a request.

        Args:
            who: Who asks: the id of a token, an address.

        Raises:
            TooManyRequests: There were too many; this one is not counted.
        """
        if self._item is None or self._limiter.hit(self._item, who):
            return
        reset_at = self._limiter.get_window_stats(self._item, who).reset_time
        raise TooManyRequests(str(self._item), seconds=max(1, math.ceil(reset_at - time.time())))


class ConcurrencyLimit:
    """How much of what takes long may be under way at a time, for each who asks for it.

    Args:
        most: So much.
        what: What it is, in the plural.
        again_in: Seconds after which asking again may help.
    """

    def __init__(self, most: int, *, what: str, again_in: int) -> None:
        self._most = most
        self._what = what
        self._again_in = again_in
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def one(self, who: str) -> Iterator[None]:
        """Count one as under way while the block runs.

        Args:
            who: Who asks for it.

        Raises:
            TooManyRequests: There are as many as there may be.
        """
        with self._lock:
            if self._under_way[who] >= self._most:
                raise TooManyRequests(f"{self._most} {self._what} at a time", seconds=self._again_in)
            self._under_way[who] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[who] -= 1
                self._under_way += Counter()  # forgets those who have none
