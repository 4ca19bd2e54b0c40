"""Recorded runs as a value: which losses a configuration had, at which length, with which seed.

A table is a file of JSON lines, ``.jsonl`` or ``.jsonl.gz``, one per run:

    {"schedule": {...}, "steps": 300, "seed": 0, "curve": [[15, 0.69], ..., [300, 0.21]], "loss": 0.21, "options": {}}

``schedule`` is the schedule at the table's horizon, as `Schedule.to_json` writes it. The horizon is the largest
``steps`` of the file; a run of fewer steps is that schedule compressed. ``loss`` is null where the run diverged; its
curve then ends before. ``options`` (absent: none) are values of options that vary beside the schedule.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tuner.errors import MISSING, InvalidValue
from tuner.schedules import Constant, Cosine, Schedule
from tuner.search.configuration import Configuration, option_values
from tuner.search.space import Value
from tuner.validation import allowed_by

Curve = tuple[tuple[int, float], ...]
"""(updates done, validation loss) at each evaluation, ascending."""
Oracle = Callable[[Configuration, int, int], tuple[Curve, float | None]]
"""``oracle(configuration, steps, seed)``: the curve of that run, and its final loss; ``None`` when it diverged."""
DIGITS: Final = 5
"""Significant digits of a stored loss: a tenth of the least noise over seeds, and half the bytes of a float."""
_USUAL_WARMUP: Final = 0.05


class Row(BaseModel):
    """One recorded run: a line of a table."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schedule: Schedule
    """At the table's horizon, also where this run is shorter."""
    steps: Annotated[int, Field(ge=1, strict=True)]
    """Updates of this run."""
    seed: Annotated[int, Field(ge=0, strict=True)]
    curve: tuple[tuple[Annotated[int, Field(ge=0, strict=True)], float], ...] = ()
    loss: float | None
    """Validation loss at the end; ``None`` when the run diverged."""
    options: Mapping[str, Value] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        steps = [step for step, _ in self.curve]
        if any(later <= step for step, later in pairwise(steps)):
            raise InvalidValue("curve", value=steps, allowed="points with ascending steps")
        if steps and steps[-1] > self.steps:
            raise InvalidValue("curve", value=steps[-1], allowed=f"points within the run's {self.steps} steps")
        return self

    @property
    def configuration(self) -> Configuration:
        """What was trained, at the horizon."""
        return Configuration(schedule=self.schedule, options=option_values(self.options))

    def to_json(self) -> str:
        """The line, with losses rounded to `DIGITS` significant digits."""
        fields = {
            "schedule": json.loads(self.schedule.to_json()),
            "steps": self.steps,
            "seed": self.seed,
            "curve": [[step, _rounded(loss)] for step, loss in self.curve],
            "loss": None if self.loss is None else _rounded(self.loss),
            "options": dict(self.options),
        }
        return json.dumps(fields, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class RecordedTable:
    """The runs of one workload.

    Args:
        name: The file's name without its endings.
        rows: At least one; no two of one configuration, length and seed.

    Raises:
        InvalidValue: There is no row, or two are of one run.
    """

    name: str
    rows: tuple[Row, ...]
    _runs: dict[tuple[Configuration, int], dict[int, Row]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        runs: dict[tuple[Configuration, int], dict[int, Row]] = {}
        for row in self.rows:
            by_seed = runs.setdefault((row.configuration, row.steps), {})
            if row.seed in by_seed:
                label = f"{row.configuration.label}, {row.steps} steps, seed {row.seed}"
                raise InvalidValue(f"{self.name}: rows", value=label, allowed="one per configuration, length and seed")
            by_seed[row.seed] = row
        if not runs:
            raise InvalidValue(f"{self.name}: rows", value=0, allowed="at least one run")
        object.__setattr__(self, "_runs", runs)

    @cached_property
    def horizon(self) -> int:
        """The updates of the longest run."""
        return max(row.steps for row in self.rows)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """All lengths, ascending; the last is the horizon."""
        return tuple(sorted({row.steps for row in self.rows}))

    @cached_property
    def configurations(self) -> tuple[Configuration, ...]:
        """The candidates: those that were trained to the horizon, in the order of the file."""
        return tuple(configuration for configuration, steps in self._runs if steps == self.horizon)

    @cached_property
    def all_seeds(self) -> tuple[int, ...]:
        """Every seed of the table, ascending."""
        return tuple(sorted({row.seed for row in self.rows}))

    def seeds(self, configuration: Configuration, *, steps: int) -> tuple[int, ...]:
        """The seeds with which this run was recorded, ascending; none when it was not."""
        return tuple(sorted(self._runs.get((configuration, steps), {})))

    def run(self, configuration: Configuration, *, steps: int, seed: int) -> Row | None:
        """A recorded run, by the table's own seed; ``None`` where there is none."""
        return self._runs.get((configuration, steps), {}).get(seed)

    def true_loss(self, configuration: Configuration, *, except_seeds: Collection[int] = ()) -> float:
        """The mean loss at the horizon over the table's seeds.

        It is infinite when any of these runs diverged: a schedule that fails once in thirty times is no schedule to
        recommend, and no finite loss stands for a failure.

        Args:
            configuration: One of `configurations`.
            except_seeds: Seeds to leave out: those that a study has seen, where a truth independent of it is wanted.

        Raises:
            InvalidValue: No seed is left.
        """
        runs = self._runs.get((configuration, self.horizon), {})
        losses = [row.loss for seed, row in runs.items() if seed not in except_seeds]
        if not losses:
            allowed = f"a configuration with {self.horizon} steps and a seed that is not left out"
            raise InvalidValue(f"{self.name}: configuration", value=configuration.label, allowed=allowed)
        return float(np.mean([math.inf if loss is None else loss for loss in losses]))

    @cached_property
    def usual(self) -> Configuration | None:
        """The table's cosine to zero at its middle peak: what people use who did not search.

        Of several warm-ups it has the one next to 5 % of the run; of an even number of peaks, the upper middle one.
        ``None`` in a table without a cosine to zero.
        """
        cosines = [
            one
            for one in self.configurations
            if isinstance(one.schedule.family, Cosine) and not one.schedule.floor and not one.options
        ]
        if not cosines:
            return None
        peaks = sorted({one.schedule.peak_lr for one in cosines})
        peak = peaks[len(peaks) // 2]
        return min((one for one in cosines if one.schedule.peak_lr == peak), key=self._from_usual_warmup)

    @cached_property
    def constants(self) -> tuple[Configuration, ...]:
        """The candidates with a constant rate, with or without a warm-up."""
        return tuple(one for one in self.configurations if isinstance(one.schedule.family, Constant))

    def oracle(self, configuration: Configuration, steps: int, seed: int) -> tuple[Curve, float | None]:
        """The recorded run as an `Oracle`, for `seed` an index: seed k is the k-th of `all_seeds`.

        Raises:
            InvalidValue: The table does not hold this run; a study must not offer it.
        """
        return self.replay(self.all_seeds)(configuration, steps, seed)

    def replay(self, seeds: Sequence[int]) -> Oracle:
        """An `Oracle` whose seed k is ``seeds[k]`` of the table, for all configurations and lengths alike.

        Studies that see the table's seeds in different orders (permutations of `all_seeds`) are independent as far as
        a table allows, and what a seed has in common over configurations remains in common.

        Args:
            seeds: Of the table's own.
        """

        def oracle(configuration: Configuration, steps: int, seed: int) -> tuple[Curve, float | None]:
            row = self.run(configuration, steps=steps, seed=seeds[seed]) if 0 <= seed < len(seeds) else None
            if row is None:
                held = [k for k, own in enumerate(seeds) if self.run(configuration, steps=steps, seed=own)]
                label = f"{configuration.label}, {steps} steps, seed {seed}"
                raise InvalidValue(
                    f"{self.name}: run", value=label, allowed=f"a recorded one; of these steps: seeds {held}"
                )
            return row.curve, row.loss

        return oracle

    def _from_usual_warmup(self, configuration: Configuration) -> float:
        return abs(configuration.schedule.warmup.length(self.horizon) / self.horizon - _USUAL_WARMUP)


def read_table(path: Path) -> RecordedTable:
    """Read a table.

    Args:
        path: A file of JSON lines, gzipped when it ends with ``.gz``.

    Raises:
        InvalidValue: A line is no run; the error names file, line, field and what is allowed.
        OSError: The file cannot be read.
    """
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        lines = [(number, line) for number, line in enumerate(file, 1) if not line.isspace()]
    rows = tuple(_row(line, where=f"{path.name}, line {number}") for number, line in lines)
    return RecordedTable(name=path.name.partition(".")[0], rows=rows)


def write_table(rows: Iterable[Row], *, path: Path) -> None:
    """Write a gzipped table at once: readers see the whole file or the one before."""
    text = "".join(f"{row.to_json()}\n" for row in rows)
    partial = path.with_suffix(".partial")
    partial.write_bytes(gzip.compress(text.encode(), mtime=0))  # no time in it: equal rows give equal bytes
    partial.replace(path)


def _row(line: str, *, where: str) -> Row:
    try:
        return Row.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        names = [str(part) for part in first["loc"]]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InvalidValue):
            names.append(cause.field)
        value = MISSING if first["type"] == "missing" else getattr(cause, "value", first["input"])
        raise InvalidValue(f"{where}: {'.'.join(names) or 'run'}", value=value, allowed=allowed_by(first)) from None


def _rounded(loss: float) -> float:
    return float(f"{loss:.{DIGITS}g}")
