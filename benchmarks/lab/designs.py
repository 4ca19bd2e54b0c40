"""Which schedules, seeds and lengths every table of the laboratory records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.lab.training import LabWorkload
from benchmarks.lab.workloads import WORKLOADS
from tuner.schedules import Constant, Cosine, Exponential, Linear, Polynomial, Rex, Schedule, Warmup, Wsd
from tuner.schedules.families import AnyFamily

Shape = tuple[AnyFamily, float, float]
"""Family, warm-up as a fraction of the run, floor."""
_COMMON: Final[tuple[Shape, ...]] = (
    (Constant(), 0.0, 0.0),
    (Constant(), 0.05, 0.0),
    (Cosine(), 0.05, 0.0),
    (Linear(), 0.05, 0.0),
    (Wsd(cooldown=0.3, shape="1-sqrt"), 0.05, 0.0),
)
_RARE: Final[tuple[Shape, ...]] = (
    (Cosine(), 0.0, 0.0),
    (Cosine(), 0.05, 0.1),
    (Linear(), 0.1, 0.0),
    (Linear(), 0.02, 0.1),
    (Wsd(cooldown=0.6, shape="linear"), 0.01, 0.0),
    (Polynomial(power=2.0), 0.05, 0.0),
    (Exponential(rate=4.0), 0.02, 0.0),
    (Rex(), 0.05, 0.01),
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Runs of one length with some seeds, of all schedules of a table."""

    steps: int
    seeds: range


@dataclass(frozen=True, kw_only=True)
class Design:
    """One table.

    Attributes:
        workload: What is trained.
        horizon: Of the table; the schedules of shorter parts are compressed from it.
        schedules: At the horizon.
        parts: The longest has the horizon's length.
    """

    name: str
    workload: LabWorkload
    horizon: int
    schedules: tuple[Schedule, ...]
    parts: tuple[Part, ...]


def designs() -> Mapping[str, Design]:
    """All tables by name, in the order in which they are made."""
    return {one.name: one for one in (*_noisy(), *_special(), *_larger(), *_lengths())}


def _noisy() -> Iterator[Design]:
    for name in ("noisy-classification-a", "noisy-classification-b", "noisy-regression-a", "noisy-regression-b"):
        peaks = peaks_of(WORKLOADS[name], count=6)
        yield _design(name, (*product(_COMMON, peaks), *product(_RARE, peaks[2:4])), seeds=30, short_seeds=5)


def _special() -> Iterator[Design]:
    shapes = (*(_COMMON[index] for index in (0, 2, 3, 4)),)
    peaks = peaks_of(WORKLOADS["half-diverging"], count=9)
    yield _design("half-diverging", (*product(shapes, peaks), *product(_RARE, peaks[3:4])), seeds=30)
    peaks = peaks_of(WORKLOADS["constant-best"], count=6)
    yield _design("constant-best", (*product(_COMMON, peaks), *product(_RARE, peaks[2:4])), seeds=30)
    peaks = peaks_of(WORKLOADS["warmup-matters"], count=6)
    warmups: list[Shape] = [
        (family, warmup, 0.0) for family in (Linear(), Constant()) for warmup in (0.0, 0.02, 0.05, 0.1)
    ]
    others: list[Shape] = [(Cosine(), 0.0, 0.0), (Cosine(), 0.05, 0.0), (Wsd(cooldown=0.3, shape="1-sqrt"), 0.1, 0.0)]
    yield _design("warmup-matters", product((*warmups, *others), peaks[1:]), seeds=30)


def _larger() -> Iterator[Design]:
    shapes = (*_COMMON, _RARE[0], _RARE[4], _RARE[5])
    yield _design("digits-image", product(shapes, peaks_of(WORKLOADS["digits-image"], count=6)), seeds=3, short_seeds=3)
    shapes = (_COMMON[0], _COMMON[2], (Linear(), 0.0, 0.0), (Wsd(cooldown=0.3, shape="1-sqrt"), 0.02, 0.0))
    peaks = peaks_of(WORKLOADS["tiny-lm"], count=5)[1:4]
    yield _design("tiny-lm", product(shapes, peaks), seeds=10, short_seeds=2)
    shapes = (*shapes, (Linear(), 0.05, 0.0), (Polynomial(power=2.0), 0.02, 0.0), (Rex(), 0.05, 0.0))
    longer = product(shapes, peaks_of(WORKLOADS["tiny-lm"], count=5)[:4])
    yield _design("tiny-lm-long", longer, workload="tiny-lm", horizon=1000, seeds=1, short_seeds=1)


def _lengths() -> Iterator[Design]:
    """Longer runs of a few schedules: how many more steps one schedule needs to reach another's loss."""
    shapes = (_COMMON[0], _COMMON[2], _COMMON[3], _COMMON[4])
    for name, seeds in (
        ("noisy-classification-a", 30),
        ("noisy-regression-a", 30),
        ("noisy-classification-b", 30),
        ("noisy-regression-b", 30),
        ("digits-image", 10),
        ("tiny-lm", 5),
    ):
        workload = WORKLOADS[name]
        count, chosen = (5, slice(2, 4)) if name == "tiny-lm" else (6, slice(2, 4))
        longest = 2 * workload.total_steps
        parts = [Part(steps=steps, seeds=range(seeds)) for steps in (longest // 2, round(longest / 1.5), longest)]
        yield Design(
            name=f"{name}-lengths",
            workload=workload,
            horizon=longest,
            schedules=product(shapes, peaks_of(workload, count=count)[chosen]),
            parts=tuple(parts),
        )


def _design(
    name: str,
    schedules: tuple[Schedule, ...],
    *,
    seeds: int,
    short_seeds: int = 0,
    workload: str | None = None,
    horizon: int | None = None,
) -> Design:
    """Runs at the horizon, and a few at a third and half of it."""
    trained = WORKLOADS[workload or name]
    steps = horizon or trained.total_steps
    short = [Part(steps=steps // part, seeds=range(short_seeds)) for part in (3, 2)] if short_seeds else []
    parts = (*short, Part(steps=steps, seeds=range(seeds)))
    return Design(name=name, workload=trained, horizon=steps, schedules=schedules, parts=parts)


def peaks_of(workload: LabWorkload, *, count: int) -> tuple[float, ...]:
    """Peak rates over the workload's range, evenly spread on a log scale, with two digits."""
    return tuple(float(f"{peak:.2g}") for peak in np.geomspace(*workload.peaks, count))


def product(shapes: Iterable[Shape], peaks: Sequence[float]) -> tuple[Schedule, ...]:
    """Every shape at every peak."""
    return tuple(
        Schedule(
            peak_lr=peak,
            family=family,
            warmup=Warmup(shape="linear", fraction=warmup) if warmup else Warmup(),
            floor=floor,
        )
        for family, warmup, floor in shapes
        for peak in peaks
    )
