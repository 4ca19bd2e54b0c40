"""Fewer points for the same picture of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.errors import InvalidValue
from tuner.jobs.records import CurvePoint

MIN_POINTS = 4
"""The least that a curve can be downsample to: its first and last point, its minimum, and where it diverged."""


def downsample(points: Sequence[CurvePoint], *, most: int) -> tuple[CurvePoint, ...]:
    """The points of a curve that matter most, in their order.

    The first, the last, the lowest finite validation loss, and the points at which the validation loss stops being
    finite are kept before all others, the earliest of these where they are too many. What room is left is spread evenly
    over the rest.

    Args:
        points: By step.
        most: How many to keep, at least `MIN_POINTS`.

    Returns:
        At most ``most`` of the points; all of them when there are no more.

    Raises:
        InvalidValue: ``most`` is too small.
    """
    if most < MIN_POINTS:
        raise InvalidValue("points", value=most, allowed=f"at least {MIN_POINTS}")
    if len(points) <= most:
        return tuple(points)
    finite = [math.isfinite(point.val_loss) for point in points]
    lowest = min((i for i, is_finite in enumerate(finite) if is_finite), key=lambda i: points[i].val_loss, default=0)
    kept = {0, len(points) - 1, lowest}
    onsets = (i for i in range(len(points)) if not finite[i] and (i == 0 or finite[i - 1]))
    for onset in onsets:
        if len(kept) == most:
            break
        kept.add(onset)
    others = [i for i in range(len(points)) if i not in kept]
    room = most - len(kept)
    kept.update(others[(2 * place + 1) * len(others) // (2 * room)] for place in range(room))
    return tuple(points[i] for i in sorted(kept))
