"""Which configurations of a space are worth a thought: points of a grid, so that runs of one peak and warm-up begin
alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tuner.schedules import Schedule
from tuner.search.configuration import Configuration
from tuner.search.sampler.grid import PEAK_RATIO, POINTS, around, drawn, grid
from tuner.search.sampler.options import SearchedOptions
from tuner.search.space import SearchSpace


class Grid:
    """The grid of a space.

    Args:
        space: Where to search.
        options: Those that are searched along.
    """

    def __init__(self, space: SearchSpace, *, options: SearchedOptions) -> None:
        self._space = space
        self._options = options
        self._peaks = grid(space.peak_lr, ratio=PEAK_RATIO)
        self._points = {
            family.name: {
                name: self._peaks if name == "peak_lr" else grid(parameter)
                for name, parameter in space.parameters(family.name).items()
            }
            for family in space.families
        }

    def sample(self, count: int, *, rng: np.random.Generator) -> list[Configuration]:
        """Points drawn at random, each family as often as any other.

        Args:
            count: How many to draw; doubles are left out of what is returned.
            rng: The source of chance.
        """
        names = list(self._points)
        found: dict[Configuration, None] = {}
        for index in rng.integers(len(names), size=count):
            values = {name: points[rng.integers(len(points))] for name, points in self._points[names[index]].items()}
            schedule = self._space.build({"family": names[index], **values})
            found[Configuration(schedule=schedule, options=self._options.sample(rng=rng))] = None
        return list(found)

    def between(self, count: int, *, rng: np.random.Generator) -> list[Configuration]:
        """Points of the whole space at random, for when the grid is exhausted; as `sample`."""
        found: dict[Configuration, None] = {}
        for index in rng.integers(len(self._space.families), size=count):
            family = self._space.families[index].name
            values = {name: drawn(one, rng=rng) for name, one in self._space.parameters(family).items()}
            schedule = self._space.build({"family": family, **values})
            found[Configuration(schedule=schedule, options=self._options.sample(rng=rng))] = None
        return list(found)

    def neighbors(self, configuration: Configuration) -> Iterator[Configuration]:
        """The points that differ in one thing: up to two places of the peak, any other value, or one option.

        Where the batch size is what differs, there is one more with the peak that goes with it.

        Args:
            configuration: Any. One whose schedule lies outside the space has no neighbors.
        """
        schedule = configuration.schedule
        if self._space.values_of(schedule) is None:
            return
        for one in self._other_schedules(schedule):
            yield Configuration(schedule=one, options=configuration.options)
        for options in self._options.neighbors(configuration.options):
            yield Configuration(schedule=schedule, options=options)
            shift = float(np.subtract(*self._options.peak_shifts([options, configuration.options])))
            if shift:
                yield Configuration(schedule=self._with_peak_near(schedule, factor=math.exp(shift)), options=options)

    def _other_schedules(self, schedule: Schedule) -> Iterator[Schedule]:
        values = self._space.values_of(schedule) or {}
        for name, points in self._points[str(values["family"])].items():
            for point in around(points, value=values[name]) if name == "peak_lr" else points:
                if point != values[name]:
                    yield self._space.build({**values, name: point})
        for family, parameters in self._points.items():
            if family == values["family"]:
                continue
            for index in range(POINTS):  # what only the other family has is met at several of its values
                new = {
                    name: values[name] if name in values else points[index * len(points) // POINTS]
                    for name, points in parameters.items()
                }
                yield self._space.build({"family": family, **new})

    def _with_peak_near(self, schedule: Schedule, *, factor: float) -> Schedule:
        wanted = schedule.peak_lr * factor
        peak = min(self._peaks, key=lambda point: abs(math.log(float(point) / wanted)))
        return schedule.model_copy(update={"peak_lr": float(peak)})
