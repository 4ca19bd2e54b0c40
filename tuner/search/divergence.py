"""Up to which peak rate training lasts, as far as the runs tell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

_BLUR: Final = 0.25
"""Over how much of the logarithm of the peak rate the limit is blurred: the shape and the length of a run move it."""
_PLACES: Final = 32
_TRUST: Final = 0.8
_SAFE: Final = 0.8
_BEYOND: Final = 1.5
"""How far above the range of peaks the limit may lie, in its logarithm."""


def p_stable(
    peak_lrs: Sequence[float], *, lasted: Sequence[float], diverged: Sequence[float], peaks: tuple[float, float]
) -> Array:
    """The probability that a run does not diverge.

    There is one limit of the peak rate, unknown and blurred: before any run all places of its logarithm over the
    range of peaks, and some way above, are equally likely.

    Args:
        peak_lrs: ``[n]``, peak rates to judge, above 0.
        lasted: Peak rates of runs that did not diverge.
        diverged: Peak rates of runs that did.
        peaks: Lowest and highest peak rate of the search.

    Returns:
        ``[n]``, each in (0, 1).
    """
    inside = np.linspace(math.log(peaks[0]), math.log(peaks[1]), _PLACES)
    above = math.log(peaks[1]) + _BEYOND * np.arange(1, _PLACES + 1) / _PLACES
    limits = np.concatenate((inside, above))
    prior = np.log(np.repeat((1.0 - _TRUST, _TRUST), _PLACES))
    evidence = (
        prior + _lasts(limits, lasted).sum(axis=0) + _lasts(-limits, [1.0 / rate for rate in diverged]).sum(axis=0)
    )
    weights = np.exp(evidence - evidence.max())
    chances: Array = np.exp(_lasts(limits, peak_lrs)) @ (weights / weights.sum())
    return chances


def are_stable(
    peak_lrs: Sequence[float], *, lasted: Iterable[float], diverged: Iterable[float], peaks: tuple[float, float]
) -> NDArray[np.bool_]:
    """Whether runs are likely to last on another seed, in four cases of five.

    All runs of a search have one seed, so that a peak at which many lasted tells no more than one at which one did. A
    peak at which one diverged is no peak at which others lasted.

    Args:
        peak_lrs: ``[n]``, peak rates to judge, above 0.
        lasted: Peak rates of runs that did not diverge.
        diverged: Peak rates of runs that did.
        peaks: Lowest and highest peak rate of the search.

    Returns:
        ``[n]``; true throughout while none diverged.
    """
    edges = set(diverged)
    if not edges or not len(peak_lrs):
        return np.ones(len(peak_lrs), dtype=np.bool_)
    inside = sorted(set(lasted) - edges)
    safe: NDArray[np.bool_] = p_stable(peak_lrs, lasted=inside, diverged=sorted(edges), peaks=peaks) >= _SAFE
    return safe & ~np.isin(peak_lrs, sorted(edges))


def _lasts(limits: Array, rates: Sequence[float]) -> Array:
    """``[rates, limits]``, logarithm of the chance that a run at a rate lasts under a limit."""
    away = (limits[None, :] - np.log(np.asarray(rates, dtype=np.float64))[:, None]) / _BLUR
    chances: Array = np.log(np.clip(ndtr(away), 1e-6, 1.0))
    return chances
