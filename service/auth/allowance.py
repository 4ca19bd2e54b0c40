"""How often somebody may ask. Counted in this process: with several services each counts for itself."""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from service.errors import TooManyRequests


class Allowance:
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
