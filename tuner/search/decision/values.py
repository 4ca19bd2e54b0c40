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
from tuner.search.sampler.gp import Posterior

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
    """The values of n runs of new configurations and of u further runs of known ones."""

    posterior: Posterior
    """The known configurations are its references, among them the incumbent, with or without a run of its own."""
    eligible: Flags
    """``[u]``, whether a known configuration could be recommended now; one at least."""
    fresh: Flags
    """``[u]``, whether no run has the seed of the next run of a known configuration."""
    incumbent: int
    """Index among the known ones."""

    @property
    def leader(self) -> int:
        """Index of the known configuration that would be recommended now."""
        p, first = self.posterior, len(self.posterior.mean) - len(self.eligible)
        known = risks(p.mean[first:], cov=p.cov[first:, self.incumbent], var=p.var[first:], incumbent=self.incumbent)
        return int(np.argmin(np.where(self.eligible, known, math.inf)))

    def log_values(self) -> Array:
        """``[n + u]``, logarithm of the value of each run, in z.

        In logarithms, since the value underflows far from the leader, where runs must still have an order.
        """
        p, known = self.posterior, len(self.eligible)
        first = len(p.mean) - known
        spread = np.sqrt(p.run_var)
        values = self._log_gains(p.run_cov / spread[:, None], p.run_own / spread)
        # On a seed that no run has, one run alone shows little: what it shares with others is unknown. It is worth
        # half of a pair of runs, its own and the leader's (the leader's own: with the best other).
        pairs = np.array([self._pair(one) for one in range(known)])
        values[first:] = np.where(self.fresh, np.maximum(values[first:], pairs), values[first:])
        return values

    def _log_gains(self, shown: Array, own: Array) -> Array:
        """``[n + u]``, the best log gain of a change of leader after each run.

        Args:
            shown: ``[n + u, u]``, what each run shows of each known configuration, in standard deviations of the run.
            own: ``[n + u]``, what it shows of its own.
        """
        p, known = self.posterior, len(self.eligible)
        count, leader, incumbent = len(p.mean), self.leader, self.incumbent
        first = count - known
        apart = np.sqrt(np.maximum(p.var + p.var[first + incumbent] - 2.0 * p.cov[:, incumbent], 0.0))
        risk = p.mean[first:] + CERTAINTY * _left(apart[first:], shown - shown[:, [incumbent]])
        leader_risk = risk[:, leader]
        own_risk = p.mean + CERTAINTY * _left(apart, own - shown[:, incumbent])
        others = self.eligible & (np.arange(known) != leader)
        gains = np.where(others, _log_gain(leader_risk[:, None] - risk, std=shown - shown[:, [leader]]), -math.inf)
        untried = np.concatenate((np.ones(first, dtype=np.bool_), ~self.eligible))
        own_gain = _log_gain(leader_risk - own_risk, std=np.where(untried, _NEW_STD, 1.0) * (own - shown[:, leader]))
        own_gain[first + leader] = -math.inf  # the leader cannot take its own place
        best: Array = np.maximum(gains.max(axis=1, initial=-math.inf), own_gain)
        return best

    def _pair(self, one: int) -> float:
        """Log value per run of a pair of runs on a fresh seed: of a known configuration and the leader."""
        p, leader, incumbent = self.posterior, self.leader, self.incumbent
        first = len(p.mean) - len(self.eligible)
        cov = p.cov[first:]
        partners = [other for other in range(len(self.eligible)) if other != one and self.eligible[other]]
        if one != leader:
            partners = [leader]
        best = -math.inf
        for other in partners:
            # The difference of the two runs: their common shift cancels.
            var = cov[one, one] + cov[other, other] - 2.0 * cov[one, other] + 2.0 * p.noise
            shown = (cov[:, one] - cov[:, other]) / math.sqrt(max(var, 1e-12))
            apart = np.sqrt(np.maximum(np.diag(cov) + cov[incumbent, incumbent] - 2.0 * cov[:, incumbent], 0.0))
            risk = p.mean[first:] + CERTAINTY * _left(apart, shown - shown[incumbent])
            gains = _log_gain(risk[leader] - risk, std=shown - shown[leader])
            gains[(~self.eligible) | (np.arange(len(risk)) == leader)] = -math.inf
            best = max(best, float(gains.max()) - math.log(2.0))
        return best


def _left(apart: Array, shown: Array) -> Array:
    """Standard deviation of a difference that is left after a run that shows so much of it."""
    left: Array = np.sqrt(np.maximum(np.square(apart) - np.square(shown), 0.0))
    return left


def _log_gain(ahead: Array, *, std: Array) -> Array:
    """Logarithm of the expected positive part of a normal variable with these means and standard deviations."""
    safe = np.maximum(np.abs(std), 1e-9)
    gain: Array = np.log(safe) + log_ei(ahead / safe)
    return gain
