"""The similarity of two schedules, independent of their peaks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.schedules import Schedule

SIMILAR: Final = 0.1
"""Mean absolute distance of two shapes up to which they count as similar; linear and cosine are 0.07 apart."""
_PLACES: Final = 400  # updates of a run that stands for every length


def shape_of(schedule: Schedule, *, total_steps: int) -> NDArray[np.float64]:
    """The learning rate over the run as a fraction of the peak, at evenly spread updates.

    Of a schedule that follows the loss it is that of its stand-in.

    Args:
        schedule: At the full horizon.
        total_steps: The horizon, at least 1.

    Returns:
        float64 ``[min(total_steps, 400)]``, in [0, 1].
    """
    updates = np.linspace(0, total_steps - 1, min(total_steps, _PLACES)).astype(np.int64)
    shape: NDArray[np.float64] = schedule.stand_in.lrs_at(updates, total_steps=total_steps) / schedule.peak_lr
    return shape


def distance(one: Schedule, other: Schedule, *, total_steps: int) -> float:
    """Mean absolute difference of the two shapes, in [0, 1]; 0 for schedules that differ in nothing but their peak."""
    ours, theirs = (shape_of(schedule, total_steps=total_steps) for schedule in (one, other))
    return float(np.mean(np.abs(ours - theirs)))
