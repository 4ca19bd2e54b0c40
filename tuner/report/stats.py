"""The statistics of a report: the spread of one candidate over seeds, and the paired comparison of two."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

CONFIDENCE = 0.95
"""Coverage of every interval in a report."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The location and range of a set of losses."""

    median: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """The mean of paired differences and its 95 % confidence interval."""

    mean: float
    low: float | None
    """``None`` with fewer than two pairs: one difference has no spread."""
    high: float | None


def spread(losses: Sequence[float]) -> Spread:
    """Median, mean and range.

    Args:
        losses: At least one; ``inf`` for a run that diverged.

    Returns:
        The four numbers, ``inf`` where divergence makes them so.
    """
    return Spread(median=statistics.median(losses), mean=statistics.fmean(losses), low=min(losses), high=max(losses))


def paired_difference(first: Sequence[float], second: Sequence[float]) -> PairedDifference:
    """The mean of ``first - second`` with its 95 % interval by Student's t on the differences.

    Two schedules trained with one seed start from the same weights and see the same batches, so much of the noise is
    common to both and cancels in the difference; two separate intervals would not use that. With the differences
    ``d_1 .. d_n``, their mean ``m`` and sample standard deviation ``s``, the interval is ``m +- t * s / sqrt(n)``,
    ``t`` being the 97.5 % quantile of Student's t with ``n - 1`` degrees of freedom. An interval without zero is the
    same as a two-sided paired t-test with p < 0.05.

    Source: "Student" (W. S. Gosset), The Probable Error of a Mean, Biometrika 6 (1908), whose own example is paired.

    Args:
        first: Finite losses, one per seed; at least one.
        second: Finite losses of the same seeds, in the same order.

    Returns:
        The mean and its interval. The interval of equal differences is the single point ``m``.
    """
    differences = [a - b for a, b in zip(first, second, strict=True)]
    mean = statistics.fmean(differences)
    n = len(differences)
    if n < 2:
        return PairedDifference(mean=mean, low=None, high=None)
    quantile = float(stdtrit(n - 1, (1.0 + CONFIDENCE) / 2.0))
    # stdev divides by n - 1, which matches the degrees of freedom of the quantile.
    half = quantile * statistics.stdev(differences, xbar=mean) / math.sqrt(n)
    return PairedDifference(mean=mean, low=mean - half, high=mean + half)
