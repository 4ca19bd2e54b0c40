"""The recorded runs of a 124M-parameter LLaMA (benchmarks/data/README.md) as a table like the others."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.lab.table import RecordedTable, Row
from tuner.schedules import Constant, Cosine, Schedule, Warmup, Wsd
from tuner.schedules.families import AnyFamily

WARMUP = 300
"""Updates, in runs of every length."""
_Key = tuple[str, float, float]
"""Family, share of the run that is cooldown, peak: as in the file."""


def read_llama(path: Path) -> RecordedTable:
    """Read the CSV file. All runs have one seed, so that nothing can be confirmed on another.

    A constant rate was recorded at the horizon alone: on its way it is its own shorter run, with the loss between two
    evaluations interpolated.
    """
    curves: defaultdict[tuple[_Key, int], list[tuple[int, float]]] = defaultdict(list)
    with gzip.open(path, "rt", newline="") as file:
        for line in csv.DictReader(file):
            key = (line["family"], float(line["decay_fraction"]), float(line["peak_lr"]))
            curves[key, int(line["total_steps"])].append((int(line["step"]), float(line["val_loss"])))
    lengths = sorted({steps for _, steps in curves})
    rows = [_row(key, steps=steps, curve=sorted(curve)) for (key, steps), curve in curves.items()]
    for (key, _), curve in curves.items():
        if key[0] == "const":
            rows += _shorter(key, curve=sorted(curve), lengths=lengths[:-1])
    return RecordedTable(name=path.name.partition(".")[0], rows=tuple(rows))


def _shorter(key: _Key, *, curve: list[tuple[int, float]], lengths: list[int]) -> Iterator[Row]:
    steps, losses = zip(*curve, strict=True)
    for length in lengths:
        before = [point for point in curve if point[0] < length]
        yield _row(key, steps=length, curve=[*before, (length, float(np.interp(length, steps, losses)))])


def _row(key: _Key, *, steps: int, curve: list[tuple[int, float]]) -> Row:
    return Row(schedule=_schedule(key), steps=steps, seed=0, curve=tuple(curve), loss=curve[-1][1])


def _schedule(key: _Key) -> Schedule:
    name, cooldown, peak = key
    family: AnyFamily
    match name:
        case "const":
            family = Constant()
        case "cos0" | "cos10":
            family = Cosine()
        case _:
            family = Wsd(cooldown=cooldown, shape="linear" if name == "wsd-linear" else "1-sqrt")
    warmup = Warmup(shape="linear", updates=WARMUP)
    return Schedule(peak_lr=peak, family=family, warmup=warmup, floor=0.1 if name == "cos10" else 0.0)
