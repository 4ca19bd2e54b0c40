"""The features by which the GP compares configurations of all families."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from tuner.schedules import Family, Schedule, Warmup
from tuner.search.configuration import Configuration
from tuner.search.resolution import RESOLUTION, at_resolution
from tuner.search.sampler.convex_bound import shape_bound
from tuner.search.sampler.options import SearchedOptions

Array = NDArray[np.float64]

_TINY: Final = 1e-30
"""Rates below this share of the peak count as 0: the convex bound divides by sums over the tail of a schedule."""
_CURVE: Final = 16
"""Points of the curve after the warm-up."""
_NO_WARMUP: Final = 0.005
"""Added to the warm-up's fraction before its logarithm: shorter warm-ups hardly differ."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """Features of configurations, one per row."""

    peak: Array
    """``[n]``, logarithm of the peak rate over the best one of the shape by convex theory (D = G = 1, 256 steps),
    less the expected shift by a searched batch size."""
    bound: Array
    """``[n]``, logarithm of the shape's convex bound at that peak, about 0 for a linear decay to zero."""
    warmup: Array
    """``[n]``, logarithm of the warm-up's fraction of the run."""
    curve: Array
    """``[n, 16]``, the rate after the warm-up as a fraction of the peak, at evenly spaced progress."""
    rate: Array
    """``[n]``, logarithm of the peak rate itself."""
    options: Array
    """``[n, k]``, coordinates of the searched options (`tuner.search.sampler.options`)."""

    @classmethod
    def of(cls, configurations: Sequence[Configuration], *, total_steps: int, options: SearchedOptions) -> Self:
        """The features of configurations.

        Args:
            configurations: Any number.
            total_steps: The horizon, at least 10.
            options: The searched options.
        """
        schedules = [one.schedule for one in configurations]
        rows = [_shape_row(one.family, one.warmup, one.floor, total_steps) for one in schedules]
        chosen = [one.options for one in configurations]
        # The explicit shape gives two axes without rows too; bound, warm-up and curve are views of its columns.
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 3 + _CURVE)
        rate = np.log([one.peak_lr for one in schedules])
        return cls(
            peak=rate + table[:, 0] - options.peak_shifts(chosen),
            bound=table[:, 1],
            warmup=table[:, 2],
            curve=table[:, 3:],
            rate=np.asarray(rate),
            options=options.coordinates(chosen),
        )

    def joined(self, other: Self) -> Self:
        """These rows, then those of ``other``."""
        return type(self)(
            peak=np.concatenate((self.peak, other.peak)),
            bound=np.concatenate((self.bound, other.bound)),
            warmup=np.concatenate((self.warmup, other.warmup)),
            curve=np.concatenate((self.curve, other.curve)),
            rate=np.concatenate((self.rate, other.rate)),
            options=np.concatenate((self.options, other.options)),
        )

    def since(self, first: int) -> Self:
        """The rows from ``first`` on."""
        return type(self)(
            peak=self.peak[first:],
            bound=self.bound[first:],
            warmup=self.warmup[first:],
            curve=self.curve[first:],
            rate=self.rate[first:],
            options=self.options[first:],
        )


@lru_cache(maxsize=16_384)
def _shape_row(family: Family, warmup: Warmup, floor: float, total_steps: int) -> tuple[float, ...]:
    """All features but the peak rate; cached, since most schedules of a search differ in their peak rate alone."""
    shape = Schedule(peak_lr=1.0, family=family, warmup=warmup, floor=floor)
    short, steps = at_resolution(shape, total_steps=total_steps)
    rates = _visible(short.lrs(steps))
    bound = shape_bound(rates)
    rise = short.warmup.length(steps)
    # The middle of 16 equal parts: each sample stands for as many updates.
    samples = rise + ((np.arange(_CURVE) + 0.5) * (steps - rise) / _CURVE).astype(np.int64)
    return (
        # Best peak and bound fall with the square root of the steps: without that factor all horizons compare.
        -math.log(bound.best_peak) + 0.5 * math.log(RESOLUTION / steps),
        math.log(bound.bound * math.sqrt(steps) / 2.0),
        math.log(shape.warmup.length(total_steps) / total_steps + _NO_WARMUP),
        *rates[samples].tolist(),
    )


def _visible(rates: Array) -> Array:
    """Rates without those too small to count; where that leaves none, as between two far samples, the least of them."""
    visible: Array = np.where(rates < _TINY, 0.0, rates)
    return visible if visible.any() else np.full_like(rates, _TINY)
