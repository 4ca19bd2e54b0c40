"""Runs of one workload at several lengths, from a table or from the exactly solvable workload."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from benchmarks.lab.power_law import PowerLaw
from benchmarks.lab.table import RecordedTable, Row
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.pruning.forecast import Curve
from tuner.search.worth import Normal
from tuner.training.evaluation_steps import evaluation_steps

RERUN_STD: Final = 0.001
"""What a loss of the LLaMA runs differs by in a re-run: their table has one seed."""
_STRETCHES: Final = (0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0)
"""Lengths of the exactly solvable workload, in horizons."""
_SEEDS: Final = 5
_MANY: Final = 40
"""A curve with more points is read at the engine's evaluations."""


@dataclass(frozen=True, eq=False)
class RecordedLengths:
    """Runs at several lengths, diverged configurations left out.

    Args:
        name: Of the workload.
        longest: The length that the configurations' schedules are for.
        horizons: Lengths at which studies are made.
        curves: By configuration, length and seed.
        exact: The expected losses, where they are known exactly.
    """

    name: str
    longest: int
    horizons: tuple[int, ...]
    curves: Mapping[Configuration, Mapping[int, Mapping[int, Curve]]]
    exact: Mapping[Configuration, Mapping[int, float]] | None = None

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Of all curves, ascending."""
        return tuple(sorted({steps for by_steps in self.curves.values() for steps in by_steps}))

    def known_at(self, horizon: int) -> list[Configuration]:
        """Those that were run at that length, and at another."""
        return [one for one in self.curves if horizon in self.curves[one] and len(self.losses(one)) > 1]

    def losses(self, configuration: Configuration) -> Mapping[int, Normal]:
        """The expected loss at every length, with its standard error."""
        if self.exact is not None:
            return {steps: Normal(mean=loss, std=0.0) for steps, loss in self.exact[configuration].items()}
        return self._means[configuration]

    def at(self, configuration: Configuration, *, horizon: int) -> Configuration:
        """The configuration in a study with that horizon."""
        if horizon == self.longest:
            return configuration
        return replace(configuration, schedule=configuration.schedule.compressed(horizon, from_steps=self.longest))

    def curve(self, configuration: Configuration, *, steps: int, horizon: int, rng: np.random.Generator) -> Curve:
        """A run with a random seed, as a study with that horizon holds it."""
        by_seed = self.curves[configuration][steps]
        drawn = by_seed[int(rng.choice(sorted(by_seed)))]
        return replace(drawn, configuration=self.at(configuration, horizon=horizon))

    @cached_property
    def _means(self) -> dict[Configuration, dict[int, Normal]]:
        return {
            one: {steps: _mean([curve.points[-1][1] for curve in seeds.values()]) for steps, seeds in lengths.items()}
            for one, lengths in self.curves.items()
        }


def recorded(table: RecordedTable) -> RecordedLengths:
    """The runs of a table with several lengths."""
    curves: dict[Configuration, dict[int, dict[int, Curve]]] = defaultdict(lambda: defaultdict(dict))
    diverged = {row.configuration for row in table.rows if row.loss is None}
    for row in table.rows:
        if row.configuration not in diverged:
            curves[row.configuration][row.steps][row.seed] = _curve(row)
    return RecordedLengths(table.name, longest=table.horizon, horizons=table.lengths, curves=curves)


def solved(law: PowerLaw) -> RecordedLengths:
    """Runs of the exactly solvable workload: a grid of schedules."""
    warmup = Warmup(shape="linear", fraction=0.05)
    families = (Constant(), Cosine(), Linear(), Wsd(cooldown=0.2, shape="linear"), Wsd(cooldown=0.5, shape="1-sqrt"))
    peaks = np.geomspace(*law.peaks, 6).tolist()
    grid = [
        Configuration(schedule=Schedule(peak_lr=peak, family=family, warmup=warmup))
        for family in families
        for peak in peaks
    ]
    lengths = [round(stretch * law.total_steps) for stretch in _STRETCHES]
    exact = {one: {steps: law.expected_loss(one.schedule, steps=steps) for steps in lengths} for one in grid}
    grid = [one for one in grid if max(exact[one].values()) < 1.0]
    curves: dict[Configuration, dict[int, dict[int, Curve]]] = defaultdict(lambda: defaultdict(dict))
    for one in grid:
        for steps in (law.total_steps // 2, law.total_steps):
            for seed in range(_SEEDS):
                points, loss = law.oracle(one, steps, seed)
                if loss is not None:
                    curves[one][steps][seed] = Curve(configuration=one, seed=seed, total_steps=steps, points=points)
    return RecordedLengths(law.name, law.total_steps, (law.total_steps,), curves, exact)


def _curve(row: Row) -> Curve:
    points = row.curve
    if len(points) > _MANY:
        steps, losses = zip(*points, strict=True)
        points = tuple((at, float(np.interp(at, steps, losses))) for at in evaluation_steps(row.steps))
    return Curve(configuration=row.configuration, seed=row.seed, total_steps=row.steps, points=points)


def _mean(losses: list[float]) -> Normal:
    std = float(np.std(losses, ddof=1)) if len(losses) > 1 else RERUN_STD
    return Normal(mean=float(np.mean(losses)), std=std / math.sqrt(len(losses)))
