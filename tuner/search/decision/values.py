"""The value of one more run: how much it is expected to improve the recommendation (the knowledge gradient). Arrays.

A new configuration may turn out better than the one that would be recommended now; another seed may show that a known
one is, or that the one in front is not. For each run x and each configuration j that could then take the place of the
leader b, with z the compressed loss of `tuner.search.sampler.gp`::

    value(x) = max over j of E[max(0, z_b - z_j)],   expected z_b - z_j after x ~ N(difference now, s^2)
    s        = |cov(z_j - z_b, y_x)| / sqrt(var y_x)

This is a lower bound of the knowledge gradient by its best pair (Frazier, Powell and Dayanik, The Knowledge-Gradient
Policy for Correlated Normal Beliefs, INFORMS Journal on Computing 21, 2009). A schedule takes the incumbent's place
only when it is better than it with certainty; the difference that this takes is subtracted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tuner.search.sampler.expected_improvement import log_ei
from tuner.search.sampler.gp import Posterior

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CERTAINTY: Final = 2.0
"""Standard deviations of the difference by which a schedule must be better than the incumbent to be recommended, ..."""
_CERTAINTY_PER_RUN: Final = 0.25
"""... or so many for each full run of the budget beyond the first, where that is less: a small budget cannot make sure,
so that there the expected loss decides."""
_NEW_STD: Final = 0.5
"""Multiplies the standard deviation of a new configuration: a short search leaves few runs to recover from it."""
_PAIRS: Final = (1, 2, 4)
"""Numbers of pairs of further runs that are considered."""


def certainty(budget: float) -> float:
    """Standard deviations of the difference by which a schedule must be better than the incumbent to be recommended.

    Args:
        budget: In full runs, at least 1.

    Returns:
        0 at a budget of 1, `CERTAINTY` from 9 on.
    """
    return min(CERTAINTY, _CERTAINTY_PER_RUN * (budget - 1.0))


def recommended(posterior: Posterior, *, certain: float, eligible: Flags, incumbent: int) -> int:
    """The reference to recommend: the least expected z among those that are better than the incumbent with certainty.

    Where none is, the incumbent.

    Args:
        posterior: Of the references.
        certain: Standard deviations of a normal difference that are as certain: `certainty` of the budget.
        eligible: ``[u]``, whether a reference could be recommended; one at least.
        incumbent: Index of the incumbent among them. Where it is not eligible (it has no run, or diverges), the
            eligible one with the least expected z is recommended.

    Returns:
        Index of a reference.
    """
    mean = posterior.mean[len(posterior.mean) - len(eligible) :]
    if not eligible[incumbent]:
        return int(np.argmin(np.where(eligible, mean, math.inf)))
    better = eligible & (posterior.p_better(incumbent) > ndtr(certain)) & (mean < mean[incumbent])
    return int(np.argmin(np.where(better, mean, math.inf))) if better.any() else incumbent


def _apart(posterior: Posterior, *, incumbent: int) -> Array:
    """``[n + u]``, standard deviation of the difference of expected z to the incumbent's."""
    cov = posterior.cov[:, incumbent]
    own = posterior.var[len(posterior.mean) - posterior.cov.shape[1] + incumbent]
    apart: Array = np.sqrt(np.maximum(posterior.var + own - 2.0 * cov, 0.0))
    return apart


@dataclass(frozen=True, kw_only=True, eq=False)
class RunValues:
    """The values of n runs of new configurations and of u further runs of known ones."""

    posterior: Posterior
    """The known configurations are its references, among them the incumbent, with or without a run of its own."""
    eligible: Flags
    """``[u]``, whether a known configuration could be recommended now; one at least."""
    certain: float
    """See `recommended`."""
    runs_left: float
    """Full runs that the budget still pays for."""
    incumbent: int
    """Index among the known ones."""

    @property
    def leader(self) -> int:
        """Index of the known configuration that would be recommended now."""
        return recommended(self.posterior, certain=self.certain, eligible=self.eligible, incumbent=self.incumbent)

    def log_values(self) -> Array:
        """``[n + u]``, logarithm of the value of each run, in z.

        In logarithms, since the value underflows far from the leader, where runs must still have an order.
        """
        p, known = self.posterior, len(self.eligible)
        first = len(p.mean) - known
        spread = np.sqrt(p.run_var)
        values = self._log_gains(p.run_cov / spread[:, None], p.run_own / spread)
        # One run alone may show too little to change the recommendation where several would: each known configuration
        # is worth at least its share of the best number of pairs of runs.
        pairs = np.array([self._pairs(one) for one in range(known)])
        values[first:] = np.maximum(values[first:], pairs)
        return values

    def _log_gains(self, shown: Array, own: Array) -> Array:
        """``[n + u]``, the best log gain of a change of leader after each run.

        Args:
            shown: ``[n + u, u]``, what each run shows of each known configuration, in standard deviations of the run.
            own: ``[n + u]``, what it shows of its own.
        """
        p, known, leader = self.posterior, len(self.eligible), self.leader
        first = len(p.mean) - known
        apart = _apart(p, incumbent=self.incumbent)
        left = _left(apart[first:], shown - shown[:, [self.incumbent]])
        gains = self._gains(left, shown=shown)
        own_left = _left(apart, own - shown[:, self.incumbent])
        ahead = p.mean[first + leader] - p.mean - self._handicap * own_left
        untried = np.concatenate((np.ones(first, dtype=np.bool_), ~self.eligible))
        own_gain = _log_gain(ahead, std=np.where(untried, _NEW_STD, 1.0) * (own - shown[:, leader]))
        # The incumbent takes the leader's place unless that is better with certainty, which the model may be sure of
        # before the incumbent's first run, or not.
        back = (
            p.mean[first + leader]
            + self.certain * left[first + self.incumbent, leader]
            - p.mean[first + self.incumbent]
        )
        own_std = own[first + self.incumbent] - shown[first + self.incumbent, leader]
        own_gain[first + self.incumbent] = _log_gain(np.array([back]), std=np.array([own_std]))[0]
        own_gain[first + leader] = -math.inf  # the leader cannot take its own place
        best: Array = np.maximum(gains.max(axis=1, initial=-math.inf), own_gain)
        return best

    @property
    def _handicap(self) -> float:
        """Standard deviations of the difference to the incumbent by which another one must be ahead of the leader."""
        return self.certain if self.leader == self.incumbent else 0.0

    def _gains(self, left: Array, *, shown: Array) -> Array:
        """``[r, u]``, log gain of each run by a change from the leader to each known configuration.

        Args:
            left: ``[r, u]``, standard deviation of each one's difference to the incumbent after the run.
            shown: ``[r, u]``, what the run shows of each, in standard deviations of the run.
        """
        leader, incumbent = self.leader, self.incumbent
        mean = self.posterior.mean[len(self.posterior.mean) - len(self.eligible) :]
        ahead = mean[leader] - mean - self._handicap * left
        # Back to the incumbent: when the leader is no longer better than it with certainty.
        ahead[:, incumbent] = mean[leader] + self.certain * left[:, leader] - mean[incumbent]
        others = self.eligible & (np.arange(len(mean)) != leader)
        gains: Array = np.where(others, _log_gain(ahead, std=shown - shown[:, [leader]]), -math.inf)
        return gains

    def _pairs(self, one: int) -> float:
        """Log value per run of pairs of runs on common seeds: of a known configuration and the leader.

        The leader itself is paired with the best other. The number of pairs is the best that the budget pays for: the
        value of information is not concave in their number (Frazier and Powell, Paradoxes in Learning and the Marginal
        Value of Information, Decision Analysis 7, 2010).
        """
        leader = self.leader
        if one != leader:
            return self._pairs_of(one, leader)
        others = (other for other in np.flatnonzero(self.eligible).tolist() if other != leader)
        return max((self._pairs_of(other, leader) for other in others), default=-math.inf)

    def _pairs_of(self, one: int, other: int) -> float:
        p, incumbent = self.posterior, self.incumbent
        first = len(p.mean) - len(self.eligible)
        cov = p.cov[first:]
        apart = _apart(p, incumbent=incumbent)[first:]
        best = -math.inf
        for pairs in _PAIRS:
            cost = 2.0 * pairs
            if pairs > 1 and cost > self.runs_left:
                break
            # The difference of two runs on one seed: their common shift cancels.
            var = cov[one, one] + cov[other, other] - 2.0 * cov[one, other] + 2.0 * p.noise / pairs
            shown = (cov[:, one] - cov[:, other]) / math.sqrt(max(var, 1e-12))
            left = _left(apart, shown - shown[incumbent])
            gains = self._gains(left[None, :], shown=shown[None, :])
            best = max(best, float(gains.max()) - math.log(cost))
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
