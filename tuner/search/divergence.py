"""The probability that training at a peak rate does not diverge, estimated from the runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

_LIMIT_STD: Final = 0.25
"""Standard deviation of the limit's logarithm between runs: their shape and their length move it."""
_GRID: Final = 32
"""Values of the limit within the range of peaks, and as many above it."""
_P_ABOVE: Final = 0.8
"""Prior probability that the limit lies above the range of peaks."""
_MIN_P_STABLE: Final = 0.8
_MAX_ABOVE: Final = 1.5
"""How far above the range of peaks the limit may lie, in its logarithm."""


def p_stable(
    peak_lrs: Sequence[float], *, stable: Sequence[float], diverged: Sequence[float], peaks: tuple[float, float]
) -> Array:
    """The probability that a run does not diverge.

    The model has one limit of the peak rate, which varies between runs. The prior of its logarithm is uniform within
    the range of peaks, and uniform above it.

    Args:
        peak_lrs: ``[n]``, above 0.
        stable: Peak rates of runs that did not diverge.
        diverged: Peak rates of runs that did.
        peaks: Lowest and highest peak rate of the search.

    Returns:
        ``[n]``, each in (0, 1).
    """
    inside = np.linspace(math.log(peaks[0]), math.log(peaks[1]), _GRID)
    above = math.log(peaks[1]) + _MAX_ABOVE * np.arange(1, _GRID + 1) / _GRID
    limits = np.concatenate((inside, above))
    # Per point, not normalized: both parts have the same number of points, and the weights are normalized below.
    prior = np.log(np.repeat((1.0 - _P_ABOVE, _P_ABOVE), _GRID))
    # log P(diverged) is log P(stable) with both signs flipped: the normal distribution is symmetric.
    diverged_rates = [1.0 / rate for rate in diverged]
    evidence = prior + _log_p(limits, stable).sum(axis=0) + _log_p(-limits, diverged_rates).sum(axis=0)
    # Relative to the maximum: evidence of many runs would underflow in exp.
    weights = np.exp(evidence - evidence.max())
    # Averaged over the limit instead of taken at its best value: few runs leave the limit uncertain.
    probabilities: Array = np.exp(_log_p(limits, peak_lrs)) @ (weights / weights.sum())
    return probabilities


def are_stable(
    peak_lrs: Sequence[float], *, stable: Iterable[float], diverged: Iterable[float], peaks: tuple[float, float]
) -> NDArray[np.bool_]:
    """Whether runs on another seed are stable with a probability of at least 4/5.

    All runs of a search have one seed, so a peak counts once however many runs were stable there. A peak at which a run
    diverged counts as diverged.

    Args:
        peak_lrs: ``[n]``, above 0.
        stable: Peak rates of runs that did not diverge.
        diverged: Peak rates of runs that did.
        peaks: Lowest and highest peak rate of the search.

    Returns:
        ``[n]``; all true while no run diverged.
    """
    unstable = set(diverged)
    if not unstable or not len(peak_lrs):
        return np.ones(len(peak_lrs), dtype=np.bool_)
    probabilities = p_stable(peak_lrs, stable=sorted(set(stable) - unstable), diverged=sorted(unstable), peaks=peaks)
    likely: NDArray[np.bool_] = probabilities >= _MIN_P_STABLE
    return likely & ~np.isin(peak_lrs, sorted(unstable))


def _log_p(limits: Array, rates: Sequence[float]) -> Array:
    """``[rates, limits]``, logarithm of the probability that a run at a rate is stable under a limit."""
    away = (limits[None, :] - np.log(np.asarray(rates, dtype=np.float64))[:, None]) / _LIMIT_STD
    # Clipped, so that one run cannot exclude a limit whatever the others say, as log 0 would.
    log_p: Array = np.log(np.clip(ndtr(away), 1e-6, 1.0))
    return log_p
