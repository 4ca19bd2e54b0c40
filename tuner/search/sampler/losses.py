"""The losses of a study, and the scale on which the GP (`tuner.search.sampler.gp`) compares them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.search.configuration import Configuration

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The loss of a configuration in a run at the horizon that did not diverge."""

    configuration: Configuration
    seed: int
    loss: float
    std: float = 0.0
    """Of a loss that is a forecast; 0 for a measured one."""


@dataclass(frozen=True, kw_only=True)
class LossScale:
    """The compression of losses: linear below the best configuration, logarithmic in the gap to it above."""

    best: float
    """The lowest mean loss of a configuration, where z is 0."""
    unit: float
    """The gap at which the compression sets in, above 0."""

    @classmethod
    def of(cls, observations: Sequence[Observation]) -> LossScale:
        """The scale of a study: its unit is the median gap of its configurations to the best."""
        losses: dict[Configuration, list[float]] = {}
        for one in observations:
            losses.setdefault(one.configuration, []).append(one.loss)
        means = np.sort([math.fsum(some) / len(some) for some in losses.values()])
        gaps = (means - means[0])[means > means[0]]
        unit = float(np.median(gaps)) if len(gaps) else 1.0
        return cls(best=float(means[0]), unit=unit)

    def compress(self, losses: Array) -> Array:
        """``[m]``, z of losses."""
        gaps = (losses - self.best) / self.unit
        z: Array = np.where(gaps > 0.0, np.log1p(np.maximum(gaps, 0.0)), gaps)
        return z

    def expand(self, z: Array) -> Array:
        """``[m]``, losses of z; the inverse of `compress`."""
        gaps = np.where(z > 0.0, np.expm1(np.clip(z, 0.0, 500.0)), z)
        losses: Array = self.best + self.unit * gaps
        return losses

    def slope(self, z: Array) -> Array:
        """``[m]``, loss per z."""
        slope: Array = self.unit * np.exp(np.clip(z, 0.0, 500.0))
        return slope
