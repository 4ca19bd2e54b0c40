"""How large a difference of the metric must be to count."""

from __future__ import annotations

import statistics
from typing import Final

from tuner.report.insights import Tolerance
from tuner.report.report import Candidate

MIN_NOISE_SEEDS: Final = 3
"""Seeds from which the spread of a candidate's results counts as its noise."""
SHARE: Final = 0.01
"""Share of the metric's value below which no difference matters."""


def seed_noise(candidate: Candidate) -> float | None:
    """Sample standard deviation of a candidate's confirmed values; ``None`` on too few seeds, or if one diverged."""
    values = [result.value for result in candidate.values if result.value is not None]
    if candidate.diverged or len(values) < MIN_NOISE_SEEDS:
        return None
    return statistics.stdev(values)


def tolerance(candidate: Candidate, *, value: float) -> tuple[float, Tolerance]:
    """The change of a value for the worse that counts: one that is both visible and relevant.

    Args:
        candidate: The candidate whose noise counts.
        value: The value that the change is measured from; its sign does not matter.

    Returns:
        The larger of the candidate's noise over seeds and one percent of the value, and which of them it is.
    """
    share, noise = SHARE * abs(value), seed_noise(candidate)
    return (share, Tolerance.SHARE) if noise is None or noise <= share else (noise, Tolerance.NOISE)
