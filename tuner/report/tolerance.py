"""How large a difference of the loss must be to count."""

from __future__ import annotations

import statistics
from typing import Final

from tuner.report.insights import Tolerance
from tuner.report.report import Candidate

MIN_NOISE_SEEDS: Final = 3
"""Seeds from which the spread of a candidate's losses counts as its noise."""
SHARE: Final = 0.01
"""Share of the loss below which no difference matters."""


def seed_noise(candidate: Candidate) -> float | None:
    """Sample standard deviation of a candidate's confirmed losses; ``None`` on too few seeds, or if one diverged."""
    losses = [result.loss for result in candidate.losses if result.loss is not None]
    if candidate.diverged or len(losses) < MIN_NOISE_SEEDS:
        return None
    return statistics.stdev(losses)


def tolerance(candidate: Candidate, *, loss: float) -> tuple[float, Tolerance]:
    """The rise above a loss that counts: one that both can be seen and matters.

    Args:
        candidate: Whose noise to take.
        loss: That it is measured from.

    Returns:
        The larger of the candidate's noise over seeds and one percent of the loss, and which of them it is.
    """
    share, noise = SHARE * abs(loss), seed_noise(candidate)
    return (share, Tolerance.SHARE) if noise is None or noise <= share else (noise, Tolerance.NOISE)
