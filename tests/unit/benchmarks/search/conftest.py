"""A small table: four shapes at three peaks on four seeds; the best is linear at the middle peak."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import pytest

from benchmarks.lab.table import RecordedTable, Row, write_table
from benchmarks.search.cases import Case, case_of, incumbent_of
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd

PEAKS = (0.001, 0.01, 0.1)
SHAPES = (Constant(), Cosine(), Linear(), Wsd(cooldown=0.3, shape="linear"))
SEEDS = 4
STEPS = 200
WARMUP = Warmup(shape="linear", fraction=0.05)


def rows(*, seeds: int = SEEDS) -> list[Row]:
    found = []
    for peak in PEAKS:
        for place, family in enumerate(SHAPES):
            for seed in range(seeds):
                noise = Random(f"{peak} {place} {seed}").gauss(0.0, 0.01)
                end = 1.0 + 0.1 * math.log10(peak / 0.01) ** 2 + 0.02 * abs(place - 2) + noise
                curve = tuple((step, end + math.exp(-step / 40)) for step in range(20, STEPS, 20))
                diverged = peak == PEAKS[-1] and place == 0 and seed == 3
                found.append(
                    Row(
                        schedule=Schedule(peak_lr=peak, family=family, warmup=WARMUP),
                        steps=STEPS,
                        seed=seed,
                        curve=curve[:3] if diverged else (*curve, (STEPS, end)),
                        loss=None if diverged else end,
                    )
                )
    return found


@pytest.fixture(scope="session")
def table() -> RecordedTable:
    return RecordedTable(name="small", rows=tuple(rows()))


@pytest.fixture(scope="session")
def one_seed() -> RecordedTable:
    return RecordedTable(name="small", rows=tuple(rows(seeds=1)))


@pytest.fixture(scope="session")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "small.jsonl.gz"
    write_table(rows(), path=path)
    return path


@pytest.fixture
def case(table: RecordedTable) -> Case:
    return case_of(table, incumbent=incumbent_of(table), subset=1.0, number=0)
