"""Pauses that grow while something stays out of reach."""

from __future__ import annotations

import random

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 10.0


class Backoff:
    """Pauses that double from the first to the longest, each shortened at random by up to half.

    The randomness keeps processes that lost the same server from all coming back in the same instant.

    Args:
        first: Seconds.
        longest: Seconds.
    """

    def __init__(self, *, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> None:
        self._first = self._next = first
        self._longest = longest

    def pause(self) -> float:
        """Seconds to wait before the next try."""
        seconds, self._next = self._next, min(2 * self._next, self._longest)
        return seconds * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin with the first pause again: the last try succeeded."""
        self._next = self._first
