"""Which fault happens when: a pure function of the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A fault that will be injected."""

    at: float
    """Seconds from the start."""
    seconds: float
    """How long it lasts; a kill lasts no time, and the field is without effect."""
    kind: str


def timetable(kinds: Sequence[str], *, seconds: float, every: float, longest: float, seed: int) -> tuple[Planned, ...]:
    """Plan the faults of a soak.

    Every kind comes once before any comes again, in an order of its own each time. One fault begins after the last one
    has ended.

    Args:
        kinds: Names of the kinds, at least one.
        seconds: Duration of the soak; the last fault ends before it.
        every: Mean seconds from the end of one fault to the start of the next.
        longest: Most seconds that a fault lasts.
        seed: Of the choice.

    Returns:
        The faults by time.

    Example:
        >>> [one.kind for one in timetable(["a"], seconds=20, every=5, longest=1, seed=1)]
        ['a', 'a', 'a']
    """
    rng = random.Random(seed)
    planned: list[Planned] = []
    now = every
    while True:
        for kind in rng.sample(list(kinds), k=len(kinds)):
            lasts = rng.uniform(0.2, 1.0) * longest
            if now + lasts > seconds:
                return tuple(planned)
            planned.append(Planned(at=now, seconds=lasts, kind=kind))
            now += lasts + rng.uniform(0.5, 1.5) * every
