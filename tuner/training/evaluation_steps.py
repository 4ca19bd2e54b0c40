"""When a run is evaluated. Pure, and free of torch."""

from __future__ import annotations

import math

EVALUATIONS = 20
"""Evaluations per run, the end included and the start not."""
MIN_SPACING = 10
"""Least updates between two evaluations, so that short rungs do not spend their time on them."""


def evaluation_steps(
    total_steps: int, *, steps_per_epoch: int | None = None, evaluations: int | None = None
) -> tuple[int, ...]:
    """After how many updates a run is evaluated: evenly spread, ascending, 0 left out and ``total_steps`` the last.

    Args:
        total_steps: Updates of the run, at least 1.
        steps_per_epoch: Where it is evaluated at ends of epochs, the updates of one: every epoch, and of more than
            ``evaluations`` epochs that many, evenly spread.
        evaluations: How often, at most once after each update; as usual for the length when absent.
    """
    if steps_per_epoch is None:
        usual = min(EVALUATIONS, max(1, total_steps // MIN_SPACING))
        return _spread(total_steps, count=usual if evaluations is None else min(evaluations, total_steps))
    epochs = math.ceil(total_steps / steps_per_epoch)
    ends = _spread(epochs, count=min(evaluations or EVALUATIONS, epochs))
    return tuple(min(epoch * steps_per_epoch, total_steps) for epoch in ends)


def _spread(last: int, *, count: int) -> tuple[int, ...]:
    return tuple(math.ceil(last * index / count) for index in range(1, count + 1))
