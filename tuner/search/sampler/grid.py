"""The grid of one parameter. On a grid, runs of one peak and warm-up share their prefix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from tuner.search.space import Choice, FloatRange, IntRange, Parameter, Value

PEAK_RATIO: Final = 1.25
"""Largest ratio of neighboring peaks: near its minimum the loss hardly changes over half of that."""
POINTS: Final = 10
"""Points of every other range."""
_DIGITS: Final = 3
"""Significant digits of a point, for readers."""


def grid(parameter: Parameter, *, ratio: float | None = None) -> tuple[Value, ...]:
    """The points of a parameter, ascending (those of a choice in its order), both ends included.

    Args:
        parameter: A range or a choice.
        ratio: Largest ratio of neighboring points of a range on a log scale; ten points when absent.
    """
    match parameter:
        case Choice():
            return parameter.values
        case FloatRange():
            low, high = parameter.low, parameter.high
            if low == high:
                return (low,)
            # Rounded up: with one point fewer the ratio of neighbors would exceed the limit.
            count = POINTS if ratio is None else math.ceil(math.log(high / low) / math.log(ratio)) + 1
            points = np.geomspace(low, high, count) if parameter.log else np.linspace(low, high, count)
            # Rounding may leave a narrow range, and may make neighbors equal.
            inner = (min(max(float(f"{point:.{_DIGITS}g}"), low), high) for point in points[1:-1])
            return tuple(dict.fromkeys((low, *inner, high)))
        case IntRange():
            spread = np.geomspace if parameter.log else np.linspace
            whole = np.unique(np.round(spread(parameter.low, parameter.high, POINTS)).astype(int))
            return tuple(whole.tolist())


def near(points: Sequence[Value], *, value: Value) -> Sequence[Value]:
    """The two points on either side of a value, and the value where it is a point."""
    index = int(np.searchsorted(np.asarray(points, dtype=np.float64), float(value)))
    return points[max(0, index - 2) : index + 3]


def sample_value(parameter: Parameter, *, rng: np.random.Generator) -> Value:
    """A random value of a parameter, uniform over its range, or over the logarithm on a log scale.

    Args:
        parameter: A range or a choice.
        rng: Source of randomness.
    """
    match parameter:
        case Choice():
            return parameter.values[rng.integers(len(parameter.values))]
        case FloatRange(low=low, high=high, log=True):
            # exp(log(low)) may differ from low in the last bit, which would lie outside the range.
            return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
        case FloatRange(low=low, high=high):
            return float(rng.uniform(low, high))
        case IntRange(low=low, high=high):
            return int(rng.integers(low, high + 1))
