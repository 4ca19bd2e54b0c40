"""The recorded runs as a function: configuration and length give a validation loss (benchmarks/data/README.md)."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tuner.schedules import Constant, Cosine, Schedule, Warmup, Wsd
from tuner.search.space import Choice, FamilySpace, FloatRange, SearchSpace

DATA = Path(__file__).parents[1] / "data" / "llama124m_slimpajama.csv.gz"
HORIZON = 50_000
WARMUP = 300
SPACE = SearchSpace(
    peak_lr=FloatRange(low=1e-4, high=2e-3, log=True),
    warmup=(WARMUP / HORIZON,),
    floor=(0.0, 0.1),
    families=(
        FamilySpace(name="constant"),
        FamilySpace(name="cosine"),
        FamilySpace(
            name="wsd",
            params={"cooldown": FloatRange(low=0.1, high=0.9), "shape": Choice(values=("linear", "1-sqrt"))},
        ),
    ),
)


@dataclass(frozen=True, order=True)
class Config:
    """A recorded configuration."""

    family: str
    cooldown: float
    peak_lr: float

    @property
    def schedule(self) -> Schedule:
        """What was trained, at the horizon."""
        family: Constant | Cosine | Wsd
        match self.family:
            case "const":
                family = Constant()
            case "cos0" | "cos10":
                family = Cosine()
            case _:
                family = Wsd(cooldown=self.cooldown, shape="linear" if self.family == "wsd-linear" else "1-sqrt")
        floor = 0.1 if self.family == "cos10" else 0.0
        warmup = Warmup(shape="linear", updates=WARMUP)
        return Schedule(peak_lr=self.peak_lr, family=family, warmup=warmup, floor=floor)

    def hold(self, steps: int) -> int:
        """Updates from the start of a run of so many that all runs at this peak have in common, if they are as long."""
        if self.family == "const":
            return steps
        return round((1.0 - self.cooldown) * steps) if self.cooldown else WARMUP


@dataclass(frozen=True)
class Table:
    """Recorded losses. A constant rate was recorded at the horizon alone: on its way it is its own shorter run."""

    curves: dict[tuple[Config, int], tuple[np.ndarray, np.ndarray]]

    def loss(self, config: Config, steps: int) -> float:
        """The final loss of the run that was so long, a complete schedule.

        Raises:
            KeyError: There is none.
        """
        if config.family == "const":
            return self.passing(config, steps)
        return float(self.curves[config, steps][1][-1])

    def passing(self, config: Config, step: int) -> float:
        """The loss of the run of the full horizon on its way."""
        steps, losses = self.curves[config, HORIZON]
        return float(np.interp(step, steps, losses))

    def configs(self, *lengths: int) -> list[Config]:
        """Those that were trained to the horizon and for all of these lengths."""
        whole = sorted(config for config, steps in self.curves if steps == HORIZON and config.peak_lr <= 2e-3)
        return [one for one in whole if one.family == "const" or all((one, n) in self.curves for n in lengths)]


@lru_cache(maxsize=1)
def recorded() -> Table:
    """The table."""
    rows: defaultdict[tuple[Config, int], list[tuple[int, float]]] = defaultdict(list)
    with gzip.open(DATA, "rt", newline="") as file:
        for row in csv.DictReader(file):
            config = Config(row["family"], float(row["decay_fraction"]), float(row["peak_lr"]))
            rows[config, int(row["total_steps"])].append((int(row["step"]), float(row["val_loss"])))
    return Table(
        {
            key: (np.array([s for s, _ in sorted(curve)]), np.array([x for _, x in sorted(curve)]))
            for key, curve in rows.items()
        }
    )
