"""Candidate configurations: points of the grid of a space, and the neighbors of a point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np

from tuner.schedules import Schedule
from tuner.search.configuration import Configuration
from tuner.search.sampler.grid import PEAK_RATIO, POINTS, grid, near, sample_value
from tuner.search.sampler.options import SearchedOptions
from tuner.search.space import SearchSpace


class Grid:
    """The grid of a space.

    Args:
        space: Where to search.
        options: The searched options.
    """

    def __init__(self, space: SearchSpace, *, options: SearchedOptions) -> None:
        self._space = space
        self._options = options
        self._peaks = grid(space.peak_lr, ratio=PEAK_RATIO)
        self._points = {
            family: {
                name: self._peaks if name == "peak_lr" else grid(parameter)
                for name, parameter in space.parameters(family).items()
            }
            for family in space.keys
        }

    def sample(self, count: int, *, rng: np.random.Generator) -> list[Configuration]:
        """Random points, each family with equal probability.

        Args:
            count: How many to draw; duplicates are removed from the result.
            rng: Source of randomness.
        """
        names = list(self._points)
        found: dict[Configuration, None] = {}
        # The family is drawn first: among all points, families with more parameters would dominate.
        for index in rng.integers(len(names), size=count):
            values = {name: points[rng.integers(len(points))] for name, points in self._points[names[index]].items()}
            schedule = self._space.build({"family": names[index], **values})
            found[Configuration(schedule=schedule, options=self._options.sample(rng=rng))] = None
        return list(found)

    def sample_off_grid(self, count: int, *, rng: np.random.Generator) -> list[Configuration]:
        """Random points of the whole space, for an exhausted grid; otherwise as `sample`."""
        found: dict[Configuration, None] = {}
        for index in rng.integers(len(self._space.keys), size=count):
            family = self._space.keys[index]
            values = {name: sample_value(one, rng=rng) for name, one in self._space.parameters(family).items()}
            schedule = self._space.build({"family": family, **values})
            found[Configuration(schedule=schedule, options=self._options.sample(rng=rng))] = None
        return list(found)

    def all(self) -> Iterator[Configuration]:
        """Every point of the grid."""
        for family, points in self._points.items():
            for values in product(*points.values()):
                schedule = self._space.build({"family": family, **dict(zip(points, values, strict=True))})
                for options in self._options.all():
                    yield Configuration(schedule=schedule, options=options)

    def neighbors(self, configuration: Configuration) -> Iterator[Configuration]:
        """The points that differ in one thing: up to two steps of the peak, any other value, or one option.

        Another batch size yields a second neighbor, with the peak scaled to it.

        Args:
            configuration: Any. One whose schedule lies outside the space has no neighbors.
        """
        schedule = configuration.schedule
        if self._space.values_of(schedule) is None:
            return
        for one in self._neighbor_schedules(schedule):
            yield Configuration(schedule=one, options=configuration.options)
        for options in self._options.neighbors(configuration.options):
            yield Configuration(schedule=schedule, options=options)
            # The best peak is a power of the batch size: in logarithms its ratio between two options is a difference.
            shift = float(np.subtract(*self._options.peak_shifts([options, configuration.options])))
            if shift:
                yield Configuration(schedule=self._with_peak_near(schedule, factor=math.exp(shift)), options=options)

    def _neighbor_schedules(self, schedule: Schedule) -> Iterator[Schedule]:
        values = self._space.values_of(schedule) or {}
        for name, points in self._points[str(values["family"])].items():
            for point in near(points, value=values[name]) if name == "peak_lr" else points:
                if point != values[name]:
                    yield self._space.build({**values, name: point})
        for family, parameters in self._points.items():
            if family == values["family"]:
                continue
            for index in range(POINTS):  # parameters of the other family alone take several of their values
                new = {
                    name: values[name] if name in values else points[index * len(points) // POINTS]
                    for name, points in parameters.items()
                }
                yield self._space.build({"family": family, **new})

    def _with_peak_near(self, schedule: Schedule, *, factor: float) -> Schedule:
        wanted = schedule.peak_lr * factor
        # Nearest by ratio, and back on the grid: off it, hardly another run would share the prefix.
        peak = min(self._peaks, key=lambda point: abs(math.log(float(point) / wanted)))
        return schedule.model_copy(update={"peak_lr": float(peak)})
