"""When a run is evaluated, and above which loss it has diverged. Pure, and free of torch."""

from __future__ import annotations

import math

EVALUATIONS = 20
"""Evaluations per run, the end included and the start not."""
MIN_SPACING = 10
"""Least updates between two evaluations, so that short rungs do not spend their time on them."""


def evaluation_steps(total_steps: int) -> tuple[int, ...]:
    """After how many updates a run is evaluated: evenly spread, ascending, 0 left out and ``total_steps`` the last."""
    count = min(EVALUATIONS, max(1, total_steps // MIN_SPACING))
    return tuple(math.ceil(total_steps * index / count) for index in range(1, count + 1))


def divergence_limit(start_loss: float) -> float:
    """The validation loss above which a run has diverged: three times that of the untrained model.

    A run that far above its start is no rival for one that learned anything, and rarely comes back. Losses start near 0
    when a trained model is trained on, and may then rise for a while: the margin is never below 2.
    """
    return start_loss + 2.0 * max(abs(start_loss), 1.0)
