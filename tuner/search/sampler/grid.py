"""The points of a parameter that a search chooses among: so that runs of one peak and warm-up begin alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from tuner.search.space import Choice, FloatRange, IntRange, Parameter, Value

PEAK_RATIO: Final = 1.25
"""Between neighboring peaks of the grid, at most: the loss near its best hardly changes over half of that."""
POINTS: Final = 10
"""Of every other range."""
_DIGITS: Final = 3
"""Significant digits of a value of the grid, so that people can read it."""


def grid(parameter: Parameter, *, ratio: float | None = None) -> tuple[Value, ...]:
    """The points of a parameter, ascending (a choice's as given), both ends included.

    Args:
        parameter: A range or a choice.
        ratio: For a range on a log scale: neighbors are at most this factor apart; ten points when absent.
    """
    match parameter:
        case Choice():
            return parameter.values
        case FloatRange():
            low, high = parameter.low, parameter.high
            if low == high:
                return (low,)
            count = POINTS if ratio is None else math.ceil(math.log(high / low) / math.log(ratio)) + 1
            points = np.geomspace(low, high, count) if parameter.log else np.linspace(low, high, count)
            inner = (min(max(float(f"{point:.{_DIGITS}g}"), low), high) for point in points[1:-1])
            return tuple(dict.fromkeys((low, *inner, high)))
        case IntRange():
            spread = np.geomspace if parameter.log else np.linspace
            whole = np.unique(np.round(spread(parameter.low, parameter.high, POINTS)).astype(int))
            return tuple(whole.tolist())


def around(points: Sequence[Value], *, value: Value) -> Sequence[Value]:
    """The two places on either side of a value, itself included where it is one."""
    place = int(np.searchsorted(np.asarray(points, dtype=np.float64), float(value)))
    return points[max(0, place - 2) : place + 3]


def drawn(parameter: Parameter, *, rng: np.random.Generator) -> Value:
    """A value of a parameter at random, evenly over its range; on a log scale, over the orders of magnitude.

    Args:
        parameter: A range or a choice.
        rng: The source of chance.
    """
    match parameter:
        case Choice():
            return parameter.values[rng.integers(len(parameter.values))]
        case FloatRange(low=low, high=high, log=True):
            return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
        case FloatRange(low=low, high=high):
            return float(rng.uniform(low, high))
        case IntRange(low=low, high=high):
            return int(rng.integers(low, high + 1))
