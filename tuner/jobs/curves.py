"""Reduces a curve to its most important points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tuner.errors import InvalidValue
from tuner.jobs.records import CurvePoint

MAX_POINTS = 10_000
"""Most points of one curve that leave the database together."""
MIN_POINTS = 4
"""The first and the last point, the minimum, and the point of divergence."""


def prefiltered(points: Iterable[CurvePoint], *, count: int) -> tuple[CurvePoint, ...]:
    """The points of a very long curve among which `downsample` selects, read one by one in constant memory.

    Those that have precedence there are all included, up to `MAX_POINTS` of the points at which the loss stops being
    finite; the others are every k-th.

    Args:
        points: Ordered by step.
        count: How many there are.

    Returns:
        All of up to `MAX_POINTS`, else at most three times as many.
    """
    stride = -(-count // MAX_POINTS)
    selected: dict[int, CurvePoint] = {}
    lowest: tuple[int, CurvePoint] | None = None
    onsets, was_finite = 0, True
    last: tuple[int, CurvePoint] | None = None
    for place, point in enumerate(points):
        is_finite = math.isfinite(point.val_loss)
        if is_finite and (lowest is None or point.val_loss < lowest[1].val_loss):
            lowest = place, point
        is_onset = was_finite and not is_finite and onsets < MAX_POINTS
        if is_onset or place % stride == 0:
            selected[place] = point
        onsets += is_onset
        was_finite, last = is_finite, (place, point)
    selected.update(each for each in (lowest, last) if each is not None)
    return tuple(selected[place] for place in sorted(selected))


def downsample(points: Sequence[CurvePoint], *, max_points: int) -> tuple[CurvePoint, ...]:
    """The most important points of a curve, in their order.

    The first, the last, the lowest finite validation loss, and the points at which the validation loss stops being
    finite have precedence, the earliest of these where they are too many. The others are selected at even distances.

    Args:
        points: Ordered by step.
        max_points: The maximum number of points, at least `MIN_POINTS`.

    Returns:
        At most ``max_points`` points.

    Raises:
        InvalidValue: ``max_points`` is too small.
    """
    if max_points < MIN_POINTS:
        raise InvalidValue("points", value=max_points, allowed=f"at least {MIN_POINTS}")
    if len(points) <= max_points:
        return tuple(points)
    finite = [math.isfinite(point.val_loss) for point in points]
    lowest = min((i for i, is_finite in enumerate(finite) if is_finite), key=lambda i: points[i].val_loss, default=0)
    selected = {0, len(points) - 1, lowest}
    onsets = (i for i in range(len(points)) if not finite[i] and (i == 0 or finite[i - 1]))
    for onset in onsets:
        if len(selected) == max_points:
            break
        selected.add(onset)
    others = [i for i in range(len(points)) if i not in selected]
    room = max_points - len(selected)
    selected.update(others[(2 * place + 1) * len(others) // (2 * room)] for place in range(room))
    return tuple(points[i] for i in sorted(selected))
