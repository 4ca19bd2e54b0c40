"""The features by which the forecast compares the evaluations of runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.schedules import Schedule
from tuner.search.resolution import at_resolution

Array = NDArray[np.float64]

_WINDOWS: Final = (0.02, 0.07, 0.25)
"""Time constants of the averages of the rate, as fractions of the run: noise in the loss decays fast in some
directions and slowly in others."""
_TINY: Final = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """What the forecast knows of each evaluation but its loss, one per row."""

    area: Array
    """``[n]``, logarithm of the learning rate summed over the steps so far: the distance trained."""
    rate: Array
    """``[n]``, logarithm of the recent rate."""
    peak: Array
    """``[n]``, logarithm of the schedule's peak rate."""
    progress: Array
    """``[n]``, logarithm of the fraction of the run that is done."""
    recent: Array
    """``[n, 3]``, averages of the rate over three windows; the excess loss by gradient noise follows them."""

    @classmethod
    def of(cls, schedule: Schedule, *, steps: Array, total_steps: int) -> Features:
        """The features of the evaluations after so many steps.

        Args:
            schedule: Of the run.
            steps: ``[n]``, ascending, each in (0, total_steps].
            total_steps: Of the run.
        """
        area, *recent = _trajectory(schedule, total_steps)
        progress = steps / total_steps
        place = progress * (len(area) - 1)
        at = [np.interp(place, np.arange(len(area)), row) for row in (area, *recent)]
        return cls(
            area=np.log(at[0] + _TINY),
            rate=np.log(at[2] + _TINY),
            peak=np.full(len(steps), math.log(schedule.peak_lr)),
            progress=np.log(progress),
            recent=np.stack(at[1:], axis=1),
        )

    def joined(self, *others: Features) -> Features:
        """These rows, then those of the others."""
        every = (self, *others)
        return Features(
            area=np.concatenate([one.area for one in every]),
            rate=np.concatenate([one.rate for one in every]),
            peak=np.concatenate([one.peak for one in every]),
            progress=np.concatenate([one.progress for one in every]),
            recent=np.concatenate([one.recent for one in every]),
        )

    def relative(self, *, area: float, peak: float) -> Features:
        """The same rows with areas and rates relative to a usual area and peak, both logarithms."""
        return Features(
            area=self.area - area,
            rate=self.rate - peak,
            peak=self.peak - peak,
            progress=self.progress,
            recent=self.recent / math.exp(peak),
        )


@lru_cache(maxsize=1024)
def _trajectory(schedule: Schedule, total_steps: int) -> Array:
    """``[4, m + 1]``: the area and the three averages of the rate after 0 .. m parts of the run."""
    short, parts = at_resolution(schedule, total_steps=total_steps)
    rates = short.lrs(parts)
    rows = np.zeros((1 + len(_WINDOWS), parts + 1))
    rows[0, 1:] = np.cumsum(rates) / parts
    rows[1:, 1:] = _averaging(parts) @ rates
    return rows


@lru_cache(maxsize=8)
def _averaging(parts: int) -> Array:
    """``[3, m, m]``: row k of each matrix averages the rates of parts 0 .. k, with weights that decay into the past."""
    age = np.subtract.outer(np.arange(parts), np.arange(parts)) / parts
    past = np.where(age >= 0.0, age, np.inf)
    weights = np.exp(-past / np.array(_WINDOWS)[:, None, None])
    normalized: Array = weights / weights.sum(axis=2, keepdims=True)
    return normalized
