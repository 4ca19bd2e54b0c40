"""Pauses that grow while something stays out of reach."""

from __future__ import annotations

import random

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 10.0


class Backoff:
    """Pauses that double from `FIRST_SECONDS` to `LONGEST_SECONDS`, each shortened at random by up to half.

    The chance keeps workers that lost the same database from all coming back in the same instant.
    """

    def __init__(self) -> None:
        self._next = FIRST_SECONDS

    def pause(self) -> float:
        """Seconds to wait before the next try."""
        seconds, self._next = self._next, min(2 * self._next, LONGEST_SECONDS)
        return seconds * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start anew: it was within reach again."""
        self._next = FIRST_SECONDS
