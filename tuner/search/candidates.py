"""Which schedules of a space are worth a thought: points of a grid, so that runs of one peak and warm-up begin
alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from tuner.schedules import Schedule
from tuner.search.space import Choice, FloatRange, IntRange, Parameter, SearchSpace, Value

PEAK_RATIO: Final = 1.25
"""Between neighboring peaks of the grid, at most: the loss near its best hardly changes over half of that."""
_POINTS: Final = 10
"""Of every other range."""
_DIGITS: Final = 3
"""Significant digits of a value of the grid, so that people can read it."""


class Grid:
    """The grid of a space.

    Args:
        space: Where to search.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._points = {
            family.name: {
                name: grid(parameter, ratio=PEAK_RATIO if name == "peak_lr" else None)
                for name, parameter in space.parameters(family.name).items()
            }
            for family in space.families
        }

    def sample(self, count: int, *, rng: np.random.Generator) -> list[Schedule]:
        """Points drawn at random, each family as often as any other.

        Args:
            count: How many to draw; doubles are left out of what is returned.
            rng: The source of chance.
        """
        names = list(self._points)
        found: dict[Schedule, None] = {}
        for index in rng.integers(len(names), size=count):
            values = {name: points[rng.integers(len(points))] for name, points in self._points[names[index]].items()}
            found[self._space.build({"family": names[index], **values})] = None
        return list(found)

    def neighbors(self, schedule: Schedule) -> Iterator[Schedule]:
        """The points that differ from a schedule in one thing: up to two places of the peak, or any other value.

        Args:
            schedule: Any schedule. One outside the space has no neighbors.
        """
        values = self._space.values_of(schedule)
        if values is None:
            return
        for name, points in self._points[str(values["family"])].items():
            for point in _around(points, value=values[name]) if name == "peak_lr" else points:
                if point != values[name]:
                    yield self._space.build({**values, name: point})
        for family, parameters in self._points.items():
            if family == values["family"]:
                continue
            for index in range(_POINTS):  # what only the other family has is met at several of its values
                new = {
                    name: values[name] if name in values else points[index * len(points) // _POINTS]
                    for name, points in parameters.items()
                }
                yield self._space.build({"family": family, **new})


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
            count = _POINTS if ratio is None else math.ceil(math.log(high / low) / math.log(ratio)) + 1
            points = np.geomspace(low, high, count) if parameter.log else np.linspace(low, high, count)
            inner = (min(max(float(f"{point:.{_DIGITS}g}"), low), high) for point in points[1:-1])
            return tuple(dict.fromkeys((low, *inner, high)))
        case IntRange():
            whole = np.unique(np.round(np.linspace(parameter.low, parameter.high, _POINTS)).astype(int))
            return tuple(whole.tolist())


def _around(points: Sequence[Value], *, value: Value) -> Sequence[Value]:
    """The two places on either side of a value, itself included where it is one."""
    place = int(np.searchsorted(np.asarray(points, dtype=np.float64), float(value)))
    return points[max(0, place - 2) : place + 3]
