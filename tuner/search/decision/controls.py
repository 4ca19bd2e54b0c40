"""The trials whose schedules are not free: start schedules, and the controls for the recommendation."""

from __future__ import annotations

from typing import Final

from tuner.search.decision.decisions import Control
from tuner.search.settings import SearchSettings

CONTROL_WARMUP: Final = 0.05
"""Fraction of the run that a control's linear warm-up takes."""
_FIRST: Final = (Control.DEFAULT, Control.CONSTANT)
"""They inform about the peaks as well as any trial. Both are always there."""
_LATER: Final = ((5, Control.CONSTANT), (7, Control.DEFAULT), (9, Control.CONSTANT))
"""They come later, so that each group has a well-chosen peak: numbers from the first after the start schedules."""


def control_of(number: int, *, settings: SearchSettings) -> Control | None:
    """The group of controls that a trial belongs to.

    Args:
        number: The trial's number, from 0.
        settings: The search.

    Returns:
        `Control.START` for the start schedules; ``None`` for a free trial.
    """
    return Control.START if number < len(settings.start) else _measured(settings).get(number)


def control_count(settings: SearchSettings) -> int:
    """How many of a study's trials are measured against."""
    return sum(number < settings.trials for number in _measured(settings))


def _measured(settings: SearchSettings) -> dict[int, Control]:
    """Which trials of a study are measured against: two of them, and more as long as two thirds of all are free.

    Where options are searched, the later ones are the last trials: they take the options of the best, so that the
    recommendation differs from them in its schedule.
    """
    if not settings.controls:
        return {}
    start, trials = len(settings.start), settings.trials
    room = max(0, trials // 3 - len(_FIRST))
    later = [(start + place, control) for place, control in _LATER][:room]
    if settings.options:
        later = [(trials - len(later) + index, control) for index, (_, control) in enumerate(later)]
    return {start + place: control for place, control in enumerate(_FIRST)} | {
        place: control for place, control in later if start + len(_FIRST) <= place < trials
    }
