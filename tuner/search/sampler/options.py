"""The searched options of the workload: their grid, and their coordinates in the GP."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.search.configuration import OptionValues, option_values
from tuner.search.sampler.grid import grid, near
from tuner.search.space import Choice, Parameter, Value

Array = NDArray[np.float64]

BATCH_SIZE: Final = "batch_size"
"""Name of the option that holds the samples of one step."""
_SCALE: Final = 0.5
"""Length scale of a range, in widths of the range."""
_ONE_HOT: Final = math.sqrt(math.log(2.0))
"""Coordinate of a choice without an order on its own axis: two such choices have a correlation of a half."""


class SearchedOptions:
    """The searched options.

    Args:
        ranges: By name.
        usual: Their values in the job. An option whose value lies outside its range starts at the nearest point of its
            grid, or at the first.
        batch_exponent: Expected exponent of the best peak as a power of ``batch_size`` (`tuner.schedules.scaling`).
    """

    def __init__(
        self, ranges: Mapping[str, Parameter], *, usual: OptionValues = (), batch_exponent: float = 0.5
    ) -> None:
        self._points = {name: grid(parameter) for name, parameter in sorted(ranges.items())}
        self._axes = [_Axis(ranges[name], points=points) for name, points in self._points.items()]
        values = dict(usual)
        self.usual: OptionValues = tuple(
            (name, _nearest(values.get(name), parameter=ranges[name], points=points))
            for name, points in self._points.items()
        )
        """The values that a search starts with."""
        self._batch_exponent = batch_exponent

    def sample(self, *, rng: np.random.Generator) -> OptionValues:
        """A random point of the grid; each option has its usual value with probability 1/2."""
        return tuple(
            (name, usual if rng.random() < 0.5 else points[rng.integers(len(points))])
            for (name, usual), points in zip(self.usual, self._points.values(), strict=True)
        )

    def all(self) -> Iterator[OptionValues]:
        """Every point of the grid; one without any option where none is searched."""
        for values in product(*self._points.values()):
            yield tuple(zip(self._points, values, strict=True))

    def neighbors(self, options: OptionValues) -> Iterator[OptionValues]:
        """The points that differ in one option: by up to two points, or by any other choice.

        Args:
            options: Any values. Values of another set of options have no neighbors.
        """
        values = dict(options)
        if values.keys() != self._points.keys():
            return
        for (name, points), axis in zip(self._points.items(), self._axes, strict=True):
            for point in near(points, value=values[name]) if axis.has_order else points:
                if point != values[name]:
                    yield option_values({**values, name: point})

    def coordinates(self, rows: Sequence[OptionValues]) -> Array:
        """``[n, k]``, in length scales of the GP's kernel. An option that a row lacks has its usual value."""
        usual = dict(self.usual)
        table = [self._row({**usual, **dict(row)}) for row in rows]
        return np.array(table, dtype=np.float64).reshape(len(rows), sum(axis.width for axis in self._axes))

    @property
    def count(self) -> int:
        """Number of searched options."""
        return len(self._axes)

    def correlation_sum(self, some: Array, others: Array) -> Array:
        """The sum over the options of the prior correlation of each.

        Args:
            some: ``[n, k]``, coordinates.
            others: ``[m, k]``, coordinates.

        Returns:
            ``[n, m]``, each in [0, `count`].
        """
        # [n, m, k]; an option without an order has several of the k columns.
        squared = np.square(some[:, None, :] - others[None, :, :])
        total = np.zeros(squared.shape[:2])
        first = 0
        for axis in self._axes:
            # A sum of kernels, not one over all columns: each g_i of the GP depends on its own option alone.
            total += np.exp(-0.5 * squared[:, :, first : first + axis.width].sum(axis=2))
            first += axis.width
        return total

    def peak_shifts(self, rows: Sequence[OptionValues]) -> Array:
        """``[n]``, expected shift of the logarithm of the best peak against the usual options."""
        usual = dict(self.usual)
        if BATCH_SIZE not in usual:
            return np.zeros(len(rows))
        start = self._log_scale(usual[BATCH_SIZE])
        return np.array([self._log_scale(dict(row).get(BATCH_SIZE, usual[BATCH_SIZE])) - start for row in rows])

    def _row(self, values: Mapping[str, Value]) -> list[float]:
        axes = zip(self._points, self._axes, strict=True)
        return [coordinate for name, axis in axes for coordinate in axis.coordinates(values[name])]

    def _log_scale(self, batch_size: Value) -> float:
        is_size = isinstance(batch_size, int | float) and batch_size > 0
        return self._batch_exponent * math.log(float(batch_size)) if is_size else 0.0


class _Axis:
    """One option: a range of numbers, or choices with or without an order."""

    def __init__(self, parameter: Parameter, *, points: Sequence[Value]) -> None:
        self._parameter = parameter
        self._points = points
        # A bool is an int in Python, but as a choice it is a category.
        numbers = all(isinstance(point, int | float) and not isinstance(point, bool) for point in points)
        self.has_order = numbers and list(points) == sorted(points)
        self.width = 1 if self.has_order else len(points)

    def coordinates(self, value: Value) -> tuple[float, ...]:
        """The position of a value, in length scales of the kernel."""
        if not self.has_order:
            return tuple(_ONE_HOT * (value == point) for point in self._points)
        return (self._position(value) / _SCALE,)

    def _position(self, value: Value) -> float:
        low, high = float(self._points[0]), float(self._points[-1])
        if low == high:
            return 0.0
        if isinstance(self._parameter, Choice):  # evenly spaced: the numbers give the order alone
            numbers = [float(point) for point in self._points]
            return float(np.interp(float(value), numbers, np.linspace(0.0, 1.0, len(numbers))))
        # Equal ratios are equal distances; a value without a logarithm counts as the lower end.
        if self._parameter.log:
            return math.log(float(value) / low) / math.log(high / low) if float(value) > 0 else 0.0
        return (float(value) - low) / (high - low)


def _nearest(value: Value | None, *, parameter: Parameter, points: Sequence[Value]) -> Value:
    if value is not None and parameter.contains(value):
        return value
    if isinstance(value, int | float) and not isinstance(parameter, Choice):
        return min(points, key=lambda point: abs(float(point) - value))
    return points[0]
