"""The value of one more run: how much it is expected to improve the recommendation (the knowledge gradient). Arrays.

A new configuration may turn out better than the one that would be recommended now; another seed may show that a known
one is, or that the one in front is not. For each run x and each configuration j that could then take the place of the
leader b, with z the compressed loss of `tuner.search.sampler.gp`::

    value(x) = max over j of E[max(0, risk_b - risk_j)],   risk_j - risk_b after x ~ N(difference, s^2)
    s        = |cov(z_j - z_b, y_x)| / sqrt(var y_x)

This is a lower bound of the knowledge gradient by its best pair (Frazier, Powell and Dayanik, The Knowledge-Gradient
Policy for Correlated Normal Beliefs, INFORMS Journal on Computing 21, 2009). The risk of a configuration is what a
recommendation minimizes: its expected z, plus a multiple of the standard deviation of its difference to the incumbent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.search.sampler.expected_improvement import log_ei

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CERTAINTY: Final = 1.0
"""Standard deviations of the difference by which a schedule must be better than the incumbent to be recommended."""
_NEW_STD: Final = 0.5
"""Multiplies the standard deviation of a new configuration: a short search leaves few runs to recover from it."""


def risks(mean: Array, *, cov: Array, var: Array, incumbent: int) -> Array:
    """How bad each configuration may be, against the incumbent: what a recommendation minimizes.

    The incumbent's is its expected z alone, so nothing replaces it that is not better by more than the uncertainty of
    their difference.

    Args:
        mean: ``[u]``, expected z.
        cov: ``[u]``, covariance with the incumbent.
        var: ``[u]``.
        incumbent: Its index.

    Returns:
        ``[u]``.
    """
    apart = np.sqrt(np.maximum(var + var[incumbent] - 2.0 * cov, 0.0))
    risk: Array = mean + CERTAINTY * apart
    return risk


@dataclass(frozen=True, kw_only=True, eq=False)
class RunValues:
    """The values of n runs of new configurations and of u further runs of known ones.

    The known configurations come last everywhere, among them the incumbent, with or without a run of its own.
    """

    mean: Array
    """``[n + u]``, expected z."""
    cov: Array
    """``[n + u, u]``, covariance with the known ones."""
    var: Array
    """``[n + u]``."""
    noise: Array
    """``[n + u]``, variance of the run's z around the expected one."""
    eligible: Flags
    """``[u]``, whether a known configuration could be recommended now; one at least."""
    incumbent: int
    """Index among the known ones."""

    @property
    def leader(self) -> int:
        """Index of the known configuration that would be recommended now."""
        first = len(self.mean) - len(self.eligible)
        known = risks(
            self.mean[first:], cov=self.cov[first:, self.incumbent], var=self.var[first:], incumbent=self.incumbent
        )
        return int(np.argmin(np.where(self.eligible, known, math.inf)))

    def log_values(self) -> Array:
        """``[n + u]``, logarithm of the value of each run, in z.

        In logarithms, since the value underflows far from the leader, where runs must still have an order.
        """
        count, known = len(self.mean), len(self.eligible)
        first, leader, incumbent = count - known, self.leader, self.incumbent
        spread = np.sqrt(self.var + self.noise)
        # [n + u, u]: what the run in the row shows of each known configuration; [n + u]: of its own.
        shown = self.cov / spread[:, None]
        own = self.var / spread
        apart = np.sqrt(np.maximum(self.var + self.var[first + incumbent] - 2.0 * self.cov[:, incumbent], 0.0))
        risk = self.mean[first:] + CERTAINTY * _left(apart[first:], shown - shown[:, [incumbent]])
        leader_risk = risk[:, leader]
        own_risk = self.mean + CERTAINTY * _left(apart, own - shown[:, incumbent])
        others = self.eligible & (np.arange(known) != leader)
        gains = np.where(others, _log_gain(leader_risk[:, None] - risk, std=shown - shown[:, [leader]]), -math.inf)
        scale = np.where(np.arange(count) < first, _NEW_STD, 1.0)
        own_gain = _log_gain(leader_risk - own_risk, std=scale * (own - shown[:, leader]))
        own_gain[first + leader] = -math.inf  # the leader cannot take its own place
        values: Array = np.maximum(gains.max(axis=1, initial=-math.inf), own_gain)
        return values


def _left(apart: Array, shown: Array) -> Array:
    """Standard deviation of a difference that is left after a run that shows so much of it."""
    left: Array = np.sqrt(np.maximum(np.square(apart) - np.square(shown), 0.0))
    return left


def _log_gain(ahead: Array, *, std: Array) -> Array:
    """Logarithm of the expected positive part of a normal variable with these means and standard deviations."""
    safe = np.maximum(np.abs(std), 1e-9)
    gain: Array = np.log(safe) + log_ei(ahead / safe)
    return gain
