"""The workload's options that are searched along with the schedule: their grid, and how near two choices are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.search.configuration import OptionValues, option_values
from tuner.search.sampler.grid import around, grid
from tuner.search.space import Choice, Parameter, Value

Array = NDArray[np.float64]

BATCH_SIZE: Final = "batch_size"
"""Name of the option that workloads tell the samples of one update by."""
_SCALE: Final = 0.5
"""Distance at which two values of a range tell little of each other, in widths of the range."""
_APART: Final = math.sqrt(math.log(2.0))
"""Of two choices that have no order, along the axis of each: a correlation of a half."""


class SearchedOptions:
    """The options of a search.

    Args:
        ranges: By name.
        usual: What the job gives them. An option whose usual value is not in its range begins with the point of its
            grid that is the next to it, or with the first.
        batch_exponent: The best peak is expected to follow this power of ``batch_size`` (`tuner.schedules.scaling`).
    """

    def __init__(
        self, ranges: Mapping[str, Parameter], *, usual: OptionValues = (), batch_exponent: float = 0.5
    ) -> None:
        self._points = {name: grid(parameter) for name, parameter in sorted(ranges.items())}
        self._axes = [_Axis(ranges[name], points=points) for name, points in self._points.items()]
        given = dict(usual)
        self.usual: OptionValues = tuple(
            (name, _nearest(given.get(name), parameter=ranges[name], points=points))
            for name, points in self._points.items()
        )
        """The values that a search begins with."""
        self._batch_exponent = batch_exponent

    def sample(self, *, rng: np.random.Generator) -> OptionValues:
        """A point of the grid at random: as often as not with the usual value of an option."""
        return tuple(
            (name, usual if rng.random() < 0.5 else points[rng.integers(len(points))])
            for (name, usual), points in zip(self.usual, self._points.values(), strict=True)
        )

    def neighbors(self, options: OptionValues) -> Iterator[OptionValues]:
        """What differs in one option: by up to two places, or by any other choice.

        Args:
            options: Any values. Those of other options than these have no neighbors.
        """
        values = dict(options)
        if values.keys() != self._points.keys():
            return
        for (name, points), axis in zip(self._points.items(), self._axes, strict=True):
            for point in around(points, value=values[name]) if axis.has_order else points:
                if point != values[name]:
                    yield option_values({**values, name: point})

    def coordinates(self, rows: Sequence[OptionValues]) -> Array:
        """``[n, k]``: how far two rows lie apart says how little they tell of each other.

        The distance is in units of the surrogate's kernel. An option that a row does not have counts as usual.
        """
        usual = dict(self.usual)
        table = [self._places({**usual, **dict(row)}) for row in rows]
        return np.array(table, dtype=np.float64).reshape(len(rows), sum(axis.width for axis in self._axes))

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._axes)

    def alike(self, some: Array, others: Array) -> Array:
        """How much rows tell of each other, option by option.

        Args:
            some: ``[n, k]``, their coordinates.
            others: ``[m, k]``, those of more.

        Returns:
            ``[n, m]``, the sum over the options of what each tells: in [0, `count`].
        """
        squared = np.square(some[:, None, :] - others[None, :, :])
        total = np.zeros(squared.shape[:2])
        first = 0
        for axis in self._axes:
            total += np.exp(-0.5 * squared[:, :, first : first + axis.width].sum(axis=2))
            first += axis.width
        return total

    def peak_shifts(self, rows: Sequence[OptionValues]) -> Array:
        """``[n]``, by how much the logarithm of the best peak is expected to lie above that at the usual options."""
        usual = dict(self.usual)
        if BATCH_SIZE not in usual:
            return np.zeros(len(rows))
        start = self._follows(usual[BATCH_SIZE])
        return np.array([self._follows(dict(row).get(BATCH_SIZE, usual[BATCH_SIZE])) - start for row in rows])

    def _places(self, values: Mapping[str, Value]) -> list[float]:
        axes = zip(self._points, self._axes, strict=True)
        return [place for name, axis in axes for place in axis.place(values[name])]

    def _follows(self, batch_size: Value) -> float:
        is_size = isinstance(batch_size, int | float) and batch_size > 0
        return self._batch_exponent * math.log(float(batch_size)) if is_size else 0.0


class _Axis:
    """One option: a range of numbers, or choices with or without an order."""

    def __init__(self, parameter: Parameter, *, points: Sequence[Value]) -> None:
        self._parameter = parameter
        self._points = points
        numbers = all(isinstance(point, int | float) and not isinstance(point, bool) for point in points)
        self.has_order = numbers and list(points) == sorted(points)
        self.width = 1 if self.has_order else len(points)

    def place(self, value: Value) -> tuple[float, ...]:
        """Where a value lies, in units of the kernel."""
        if not self.has_order:
            return tuple(_APART * (value == point) for point in self._points)
        return (self._share(value) / _SCALE,)

    def _share(self, value: Value) -> float:
        low, high = float(self._points[0]), float(self._points[-1])
        if low == high:
            return 0.0
        if isinstance(self._parameter, Choice):  # the places are even, whatever the numbers
            numbers = [float(point) for point in self._points]
            return float(np.interp(float(value), numbers, np.linspace(0.0, 1.0, len(numbers))))
        if self._parameter.log:
            return math.log(float(value) / low) / math.log(high / low) if float(value) > 0 else 0.0
        return (float(value) - low) / (high - low)


def _nearest(value: Value | None, *, parameter: Parameter, points: Sequence[Value]) -> Value:
    if value is not None and parameter.holds(value):
        return value
    if isinstance(value, int | float) and not isinstance(parameter, Choice):
        return min(points, key=lambda point: abs(float(point) - value))
    return points[0]
