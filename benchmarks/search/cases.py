"""What one study of a replay may see of a table: its candidates, its seeds, and the truth it is measured against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np

from benchmarks.lab.table import RecordedTable
from tuner.errors import InvalidValue
from tuner.schedules import Constant, Schedule
from tuner.search.configuration import Configuration
from tuner.search.decision.seeds import run_seed
from tuner.search.oracle import Oracle
from tuner.search.settings import SearchSettings
from tuner.search.space import Choice, FamilySpace, FloatRange, IntRange, Parameter, SearchSpace, Value

EVALUATIONS = 20
"""Most evaluations of a run that a study sees, as in jobs."""
_MOST_WARMUPS = 16


@dataclass(frozen=True)
class Case:
    """One study's part of a table.

    Args:
        table: The recorded runs.
        incumbent: One of the candidates.
        candidates: What can be trained.
        seeds: The table's own, in the order in which the study uses them; every candidate has all of them.
        number: Of the study.
    """

    table: RecordedTable
    incumbent: Configuration
    candidates: tuple[Configuration, ...]
    seeds: tuple[int, ...]
    number: int

    @property
    def horizon(self) -> int:
        """Updates of a full run."""
        return self.table.horizon

    def run(self, configuration: Configuration, *, place: int = 0) -> tuple[Sequence[tuple[int, float]], float | None]:
        """The recorded run on the study's seed at this place."""
        row = self.table.run(configuration, steps=self.horizon, seed=self.seeds[place])
        if row is None:
            raise InvalidValue("configuration", value=configuration.label, allowed="one of the case's candidates")
        return thinned(row.curve), row.loss

    @property
    def oracle(self) -> Oracle:
        """Of a study whose search has the case's number as its seed."""
        first = run_seed(self.number, place=0)

        def oracle(
            configuration: Configuration, steps: int, seed: int
        ) -> tuple[Sequence[tuple[int, float]], float | None]:
            return self.run(configuration, place=(seed - first) % 2**31)

        return oracle

    def settings(self, *, budget: float) -> SearchSettings:
        """The search of a study at this price; it is offered the seeds of the table, and no more."""
        offered = SearchSettings.model_fields["seeds"].get_default()
        return SearchSettings(
            total_steps=self.horizon,
            budget=budget,
            seeds=min(offered, len(self.seeds)),
            incumbent=self.incumbent.schedule,
            seed=self.number,
            space=space_of(self.table.configurations, total_steps=self.horizon),
            options=option_ranges(self.table.configurations),
        )

    @cached_property
    def truth(self) -> dict[Configuration, float]:
        """The mean loss of each candidate over all seeds of the table.

        A run that diverged counts as the worst that did not: the mean over studies has to remain a number.
        """
        return {one: mean_loss(self.table, one) for one in self.candidates}

    @property
    def best(self) -> float:
        """The least true loss of the candidates."""
        return min(self.truth.values())

    def regret(self, configuration: Configuration) -> float:
        """The true loss of a candidate above the least."""
        return self.truth[configuration] - self.best


def case_of(table: RecordedTable, *, incumbent: Configuration, subset: float, number: int) -> Case:
    """The case of one study: a random part of the candidates, the seeds in a random order. Equal numbers, equal cases.

    Args:
        table: The recorded runs.
        incumbent: Stays among the candidates.
        subset: Share of the candidates that the study may try, in (0, 1].
        number: Of the study.
    """
    rng = Random(f"case {number} of {table.name}")
    held = [set(table.seeds(one, steps=table.horizon)) for one in table.configurations]
    common = sorted(set.intersection(*held))
    if not common:
        raise InvalidValue("table", value=table.name, allowed="one whose configurations share a seed at the horizon")
    others = [one for one in table.configurations if one != incumbent]
    count = max(1, round(subset * len(table.configurations))) - 1
    chosen = [incumbent, *rng.sample(others, min(count, len(others)))]
    rng.shuffle(chosen)  # among equals the first is proposed
    seeds = tuple(rng.sample(common, len(common)))
    return Case(table=table, incumbent=incumbent, candidates=tuple(chosen), seeds=seeds, number=number)


def incumbent_of(table: RecordedTable, *, schedule: Schedule | None = None) -> Configuration:
    """The table's configuration with this schedule; its cosine to zero at the middle peak when absent."""
    if schedule is None:
        if table.usual is None:
            raise InvalidValue(
                "table",
                value=table.name,
                allowed="one with a cosine to zero",
                hint="Name the incumbent: --incumbent FILE, one of the table's schedules",
            )
        return table.usual
    found = [one for one in table.configurations if one.schedule == schedule]
    if not found:
        raise InvalidValue("incumbent", value=schedule.label, allowed=f"a schedule of the table {table.name}")
    return found[0]


def thinned(curve: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most `EVALUATIONS` points of a curve, evenly spread, the last one included."""
    count = min(EVALUATIONS, len(curve))
    return [curve[round(len(curve) * index / count) - 1] for index in range(1, count + 1)]


def mean_loss(table: RecordedTable, configuration: Configuration) -> float:
    """See `Case.truth`."""
    worst = _worst(table)
    seeds = table.seeds(configuration, steps=table.horizon)
    rows = [table.run(configuration, steps=table.horizon, seed=seed) for seed in seeds]
    return float(np.mean([worst if row is None or row.loss is None else row.loss for row in rows]))


def _worst(table: RecordedTable) -> float:
    return max(
        (row.loss for row in table.rows if row.steps == table.horizon and row.loss is not None), default=math.inf
    )


def space_of(configurations: Sequence[Configuration], *, total_steps: int) -> SearchSpace:
    """The smallest space that spans these configurations: what the sampler scales its features by."""
    schedules = [one.schedule for one in configurations]
    peaks = [one.peak_lr for one in schedules]
    warmups = sorted({one.warmup.length(total_steps) / total_steps for one in schedules})
    if len(warmups) > _MOST_WARMUPS:
        warmups = [warmups[place] for place in np.linspace(0, len(warmups) - 1, _MOST_WARMUPS).astype(int)]
    floors = {one.floor for one in schedules if not isinstance(one.family, Constant)} or {0.0}
    families: dict[str, list[Schedule]] = {}
    for schedule in schedules:
        families.setdefault(schedule.family.name, []).append(schedule)
    return SearchSpace(
        peak_lr=FloatRange(low=min(peaks), high=max(peaks), log=True),
        warmup=tuple(warmups),
        floor=tuple(sorted(floors)),
        families=tuple(FamilySpace(name=name, params=_params(found)) for name, found in families.items()),
    )


def _params(schedules: Sequence[Schedule]) -> dict[str, Parameter]:
    """The range of every parameter that all schedules of a family have."""
    found = {}
    for name in type(schedules[0].family).model_fields:
        values = {getattr(one.family, name) for one in schedules}
        if name != "name" and all(isinstance(value, bool | int | float | str) for value in values):
            found[name] = _range(values)
    return found


def option_ranges(configurations: Sequence[Configuration]) -> dict[str, Parameter]:
    """The range of every option that the configurations have."""
    values: dict[str, set[Value]] = {}
    for one in configurations:
        for name, value in one.options:
            values.setdefault(name, set()).add(value)
    return {name: _range(found) for name, found in values.items()}


def _range(values: set[Value]) -> Parameter:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        return Choice(values=tuple(sorted(values, key=str)))
    if all(isinstance(value, int) for value in numbers):
        return IntRange(low=int(min(numbers)), high=int(max(numbers)))
    return FloatRange(low=min(numbers), high=max(numbers))
