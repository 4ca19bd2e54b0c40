"""A schedule sampled at as many updates as a plot needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tuner.schedules import Schedule
from tuner.schedules.values import Losses

_MAX_DENSE = 200_000  # updates; up to here every one is evaluated
_POINTS = 10_000


def sampled(
    schedule: Schedule, *, total_steps: int, losses: Losses = ()
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Updates in ascending order, the first and the last among them, and their learning rates.

    Args:
        schedule: The schedule.
        total_steps: The horizon in updates, at least 1.
        losses: Evaluations of a run, for a schedule that follows them.

    Returns:
        Every update of a horizon of up to 200,000; else 10,000 of them, evenly spaced.
    """
    if total_steps <= _MAX_DENSE:
        return np.arange(total_steps), schedule.lrs(total_steps, losses=losses)
    updates = np.linspace(0, total_steps - 1, _POINTS).astype(np.int64)
    return updates, schedule.lrs_at(updates, total_steps=total_steps, losses=losses)
