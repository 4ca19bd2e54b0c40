"""The trials whose schedules are not free: what is known to be good, and what the answer is measured against."""

from __future__ import annotations

from typing import Final

from tuner.search.decisions import Control
from tuner.search.settings import SearchSettings

CONTROL_WARMUP: Final = 0.05
"""Fraction of the run that a control's linear warm-up takes."""
_MEASURED: Final = {
    0: Control.DEFAULT,
    1: Control.CONSTANT,
    5: Control.CONSTANT,
    7: Control.DEFAULT,
    9: Control.CONSTANT,
}
"""Which trials of a study are measured against, numbered from the first after the given ones. The first two find out
where the peaks lie as well as any; the others come once that is known, so that each group has a well-chosen peak."""


def control_of(number: int, *, settings: SearchSettings) -> Control | None:
    """The group of controls that a trial belongs to.

    Args:
        number: The trial's number, from 0.
        settings: The search.

    Returns:
        `Control.START` for the schedules that the search was given; ``None`` for a free trial.
    """
    if number < len(settings.start):
        return Control.START
    place = number - len(settings.start)
    before = sum(other < place for other in _MEASURED)
    # The two groups are always there; beyond that, two thirds of the trials are free.
    if not settings.controls or (before >= 2 and 3 * (before + 1) > settings.trials):
        return None
    return _MEASURED.get(place)


def control_count(settings: SearchSettings) -> int:
    """How many of a study's trials are measured against."""
    numbers = range(min(settings.trials, len(settings.start) + max(_MEASURED) + 1))
    return sum(control_of(number, settings=settings) not in (None, Control.START) for number in numbers)
