"""When a run is evaluated. Pure, and free of torch."""

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
