"""A schedule in one run as the parts that other libraries have schedules for: warm-up, decay, levels, linear pieces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from tuner.exports.formula import MAX_LEVELS, levels, schedule_formula
from tuner.schedules import Constant, Cosine, Linear, MultiStep, Schedule, Step, Wsd
from tuner.schedules.families.decay_to_zero import CooldownShape
from tuner.schedules.lengths import TOLERANCE, updates_within
from tuner.schedules.values import Array

_MAX_DENSE: Final = 20_000
_SAMPLES: Final = 501


@dataclass(frozen=True, kw_only=True)
class RunWarmup:
    """The warm-up of W updates."""

    kind: Literal["none", "linear", "constant", "curved"]
    """``linear`` rises by equal steps from ``start`` to 1 at update W - 1; ``constant`` stays at ``start``."""
    updates: int
    """W."""
    start: float
    """At update 0, as a fraction of the peak."""


@dataclass(frozen=True, kw_only=True)
class Decay:
    """The peak, then one monotone decay to the floor that ends with the run."""

    shape: CooldownShape
    updates: int


@dataclass(frozen=True, kw_only=True)
class NotExpressible:
    """A library's native schedules cannot express a schedule."""

    reason: str
    """A sentence about the library: ``"It has no cosine warm-up."``"""


def run_warmup(schedule: Schedule, *, total_steps: int) -> RunWarmup:
    """The warm-up of a schedule in a run of ``total_steps`` updates."""
    updates, start = schedule.warmup.length(total_steps), schedule.warmup.start_factor
    if not updates:
        return RunWarmup(kind="none", updates=0, start=1.0)
    match schedule.warmup.shape:
        case "constant":
            return RunWarmup(kind="constant", updates=updates, start=start)
        case "linear":
            return RunWarmup(kind="linear", updates=updates, start=start + (1 - start) / updates)
    if updates == 1:
        return RunWarmup(kind="linear", updates=1, start=1.0)  # any curve is at the peak at its last update
    return RunWarmup(kind="curved", updates=updates, start=schedule.lr(0, total_steps=total_steps) / schedule.peak_lr)


def final_decay(schedule: Schedule, *, total_steps: int) -> Decay | None:
    """The decay of a schedule that holds the peak and then decays once, over whole updates; else ``None``."""
    n = total_steps - schedule.warmup.length(total_steps)
    match schedule.family:
        case Linear():
            return Decay(shape="linear", updates=n)
        case Cosine():
            return Decay(shape="cosine", updates=n)
        case Wsd(cooldown=cooldown, shape=shape):
            updates = updates_within(cooldown, of=n, field="family.cooldown")
            return Decay(shape=shape, updates=round(updates)) if updates == round(updates) else None
    return None


def step_levels(schedule: Schedule, *, total_steps: int) -> tuple[tuple[int, float], ...] | None:
    """The levels of a piecewise constant schedule.

    Returns:
        The first update of each level, counted from the end of the warm-up, and its fraction of the peak, starting
        with ``(0, 1.0)``; ``None`` for other families, and for more than `MAX_LEVELS` levels.
    """
    if not isinstance(schedule.family, Constant | Step | MultiStep):
        return None
    n = total_steps - schedule.warmup.length(total_steps)
    return levels(schedule.family, n=n, end=n, floor=schedule.floor)


def floor_is_active(schedule: Schedule, *, total_steps: int) -> bool:
    """Whether the floor raises the rate of any update of a schedule that never rises after its warm-up."""
    free = schedule.model_copy(update={"floor": 0.0}).lr(total_steps - 1, total_steps=total_steps)
    return free < schedule.floor * schedule.peak_lr * (1 - TOLERANCE)


def drop_updates(levels: tuple[tuple[int, float], ...], *, gamma: float) -> list[int] | None:
    """The updates at which the rate drops by ``gamma``, one entry per factor; ``None`` for drops by other factors."""
    drops: list[int] = []
    for (_, before), (first, after) in pairwise(levels):
        if not after:
            return None
        times = round(math.log(after / before) / math.log(gamma))
        if not math.isclose(before * gamma**times, after, rel_tol=1e-12):
            return None
        drops += [first] * times
    return drops if len(drops) <= MAX_LEVELS else None


def nearest_schedule(
    schedule: Schedule, candidates: Sequence[Schedule], *, total_steps: int
) -> tuple[Schedule, float, int]:
    """The candidate whose largest difference from a schedule is the smallest.

    Of a run of more than 20,000 updates, 501 evenly spread ones are compared.

    Returns:
        The candidate, its largest difference as a fraction of the schedule's peak, and the update of it.
    """
    updates = _spread(total_steps).astype(np.int64)
    target = schedule.lrs_at(updates, total_steps=total_steps)
    gaps = [np.abs(candidate.lrs_at(updates, total_steps=total_steps) - target) for candidate in candidates]
    best = min(range(len(candidates)), key=lambda index: float(gaps[index].max()))
    worst = int(gaps[best].argmax())
    return candidates[best], float(gaps[best][worst]) / schedule.peak_lr, int(updates[worst])


@dataclass(frozen=True, kw_only=True)
class LinearPiece:
    """Consecutive updates over which the rate changes by equal steps."""

    first: int
    """Its first update, counted from the end of the warm-up."""
    updates: int
    start: float
    """At its first update, as a fraction of the peak."""
    end: float
    """At its last update."""


def linear_pieces(schedule: Schedule, *, total_steps: int) -> tuple[LinearPiece, ...] | None:
    """The linear pieces of a schedule after its warm-up; ``None`` when it is not piecewise linear.

    Of a piece of more than 20,000 updates, 501 evenly spread ones are checked: a kink anywhere moves its chord.
    """
    pieces = schedule_formula(schedule, total_steps=total_steps).pieces
    if len(pieces) > MAX_LEVELS:
        return None
    warmup = schedule.warmup.length(total_steps)
    n = total_steps - warmup
    found = []
    for first, after in pairwise([*(piece.first for piece in pieces if piece.first < n), n]):
        updates = _spread(after - first)
        part = schedule.family.factors(first + updates, n=n, floor=schedule.floor)
        chord = part[0] + (part[-1] - part[0]) * (updates / max(updates[-1], 1.0))
        if not np.allclose(part, chord, rtol=1e-12, atol=1e-14):
            return None
        found.append(LinearPiece(first=first, updates=after - first, start=float(part[0]), end=float(part[-1])))
    return tuple(found)


def _spread(count: int) -> Array:
    """Ascending numbers in [0, count), the first and the last among them: all up to 20,000, else 501."""
    samples = count if count <= _MAX_DENSE else _SAMPLES
    return np.linspace(0, count - 1, num=samples).round()
