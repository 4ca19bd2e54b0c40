"""A schedule in one run as a piecewise formula, from which the code of every library is generated.

A formula is text in Python syntax over the update ``u``, the updates since the end of the warm-up ``t``, the variables
that its own lines assign, ``pi``, and the functions of `FUNCTIONS`. All lengths are resolved to updates.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np

from tuner.schedules import (
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    Family,
    InverseSqrt,
    Linear,
    MultiStep,
    OneCycle,
    PiecewiseLinear,
    Polynomial,
    Power,
    Rex,
    Schedule,
    Segment,
    Segments,
    Sgdr,
    Step,
    Wsd,
)
from tuner.schedules.curves import EXPONENTIAL_RATE
from tuner.schedules.families.cycles import cycle_count, cycle_edges
from tuner.schedules.families.piecewise import segment_lengths
from tuner.schedules.lengths import TOLERANCE, in_updates, snap_to_integer, updates_within

MAX_LEVELS: Final = 100
"""Most levels, drops or cycles that an export writes out."""
FUNCTIONS: Final = ("cos", "sqrt", "exp", "expm1", "floor", "min", "max")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A formula and its first update."""

    first: int
    """The first update, counted from the end of the warm-up; for the warm-up itself, 0."""
    value: str
    """The rate as a fraction of the peak."""
    lines: tuple[str, ...] = ()
    """Assignments before ``value``, which reads them."""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Formula:
    """The rate of every update of a run, as a fraction of the peak."""

    total_steps: int
    warmup_steps: int
    warmup: Piece | None
    """In ``u``; ``None`` when there is none."""
    pieces: tuple[Piece, ...]
    """In ``t``, in order; the first starts at 0, and each holds until the next starts."""


def schedule_formula(schedule: Schedule, *, total_steps: int, single_precision: bool = False) -> Formula:
    """The formulas of a schedule in a run of ``total_steps`` updates.

    Args:
        schedule: The schedule.
        total_steps: Updates of the run.
        single_precision: Whether the code computes in float32, where a quotient could move a drop by an update.

    Raises:
        InvalidValue: The schedule does not fit into so few updates.
    """
    schedule.lr(0, total_steps=total_steps)
    warmup_steps = schedule.warmup.length(total_steps)
    n = total_steps - warmup_steps
    write = _drops if single_precision and schedule.family.name == "step" else _PIECES[type(schedule.family)]
    pieces = list(write(schedule.family, n, schedule.floor))
    ends = [*(piece.first for piece in pieces[1:]), n + 1]
    nonempty = [piece for piece, end in zip(pieces, ends, strict=True) if piece.first < end]
    return Formula(
        total_steps=total_steps,
        warmup_steps=warmup_steps,
        warmup=_warmup(schedule, length=warmup_steps) if warmup_steps else None,
        pieces=tuple(nonempty),
    )


def _warmup(schedule: Schedule, *, length: int) -> Piece:
    start, shape = schedule.warmup.start_factor, schedule.warmup.shape
    lines: tuple[str, ...] = (f"x = (u + 1) / {length}",)
    share = "x"
    match shape:
        case "constant":
            return Piece(first=0, value=f"{start!r}", note="warm-up: constant")
        case "exponential":
            return Piece(first=0, lines=lines, value=f"{start!r} ** (1 - x)", note="warm-up: exponential")
        case "cosine":
            lines, share = (*lines, "rise = 0.5 - 0.5 * cos(pi * x)"), "rise"
    value = f"{start!r} * (1 - {share}) + {share}" if start else share
    return Piece(first=0, lines=lines, value=value, note=f"warm-up: {shape}")


def _between(start: float, end: float) -> str:
    """The value between ``start`` and ``end`` when the fraction ``left`` remains."""
    first = "left" if start == 1 else f"{start!r} * left"
    second = "1 - left" if end == 1 else f"{end!r} * (1 - left)"
    if start == 0:
        return second if end else "0.0"
    return f"{first} + {second}" if end else first


def _at_least(value: str, floor: float) -> str:
    return f"max({value}, {floor!r})" if floor else value


def _constant(_family: Constant, _n: int, _floor: float) -> Iterator[Piece]:
    yield Piece(first=0, value="1.0")


def _linear(_family: Linear, n: int, floor: float) -> Iterator[Piece]:
    yield Piece(first=0, lines=(f"left = 1 - t / {n}",), value=_between(1, floor))


def _cosine(_family: Cosine, n: int, floor: float) -> Iterator[Piece]:
    yield Piece(first=0, lines=(f"left = 0.5 + 0.5 * cos(pi * (t / {n}))",), value=_between(1, floor))


def _polynomial(family: Polynomial, n: int, floor: float) -> Iterator[Piece]:
    yield Piece(first=0, lines=(f"left = (1 - t / {n}) ** {family.power!r}",), value=_between(1, floor))


def _rex(_family: Rex, n: int, floor: float) -> Iterator[Piece]:
    yield Piece(first=0, lines=(f"x = t / {n}", "left = (1 - x) / (1 - 0.5 * x)"), value=_between(1, floor))


def _wsd(family: Wsd, n: int, floor: float) -> Iterator[Piece]:
    length = updates_within(family.cooldown, of=n, field="family.cooldown")
    yield Piece(first=0, value="1.0", note="stable")
    lines = (f"x = max(1 - ({n} - t) / {length!r}, 0.0)", f"left = {_curve(family.shape, power=family.power)}")
    yield Piece(first=math.ceil(n - length), lines=lines, value=_between(1, floor), note="cooldown")


def _curve(kind: str, *, power: float | None = None, rate: float | None = None) -> str:
    """The fraction that remains at progress ``x``; the curves of `tuner.schedules.curves`."""
    match kind:
        case "cosine":
            return "0.5 + 0.5 * cos(pi * x)"
        case "1-sqrt":
            return "1 - sqrt(x)"
        case "rex":
            return "(1 - x) / (1 - 0.5 * x)"
        case "polynomial":
            return f"(1 - x) ** {power!r}"
        case "exponential":
            rate = rate or EXPONENTIAL_RATE
            return f"expm1({rate!r} * (1 - x)) / {math.expm1(rate)!r}"
        case _:
            return "1 - x"


def _sgdr(family: Sgdr, n: int, floor: float) -> Iterator[Piece]:
    for start, end in pairwise(cycle_edges(family, n=n).tolist()):
        lines = (f"left = 0.5 + 0.5 * cos(pi * ((t - {start!r}) / {end - start!r}))",)
        yield Piece(first=math.ceil(start), lines=lines, value=_between(1, floor))


def _one_cycle(family: OneCycle, n: int, floor: float) -> Iterator[Piece]:
    rise = updates_within(family.rise, of=n, field="family.rise")
    for first, x, start, end in (
        (0, f"t / {rise!r}", max(family.start_factor, floor), 1.0),
        (math.ceil(rise), f"1 - ({n} - t) / {n - rise!r}", 1.0, floor),
    ):
        lines = (f"x = {x}", f"left = {_curve(family.shape)}")
        yield Piece(first=first, lines=lines, value=_between(start, end), note="down" if first else "up")


def _cyclic(family: Cyclic, n: int, floor: float) -> Iterator[Piece]:
    height = f"min(x / {family.rise!r}, (1 - x) / {1 - family.rise!r})"
    if family.mode == "triangular2":
        height += " * 0.5 ** cycle"
    elif family.gamma is not None:
        height += f" * {family.gamma!r} ** passed"
    cycles = cycle_count(family, n=n)
    passed = f"t * {cycles} / {n}" if family.period is None else f"t / {in_updates(family.period, of=n)!r}"
    lines = (
        f"passed = {passed}",
        f"cycle = min(floor(passed), {cycles - 1})",
        "x = passed - cycle",
        f"left = {height}",
    )
    yield Piece(first=0, lines=lines, value=_between(1, floor))


def _exponential(family: Exponential, n: int, floor: float) -> Iterator[Piece]:
    if family.gamma is None or family.every is None:
        slope = (family.rate or 0.0) / n
    else:
        slope = -math.log(family.gamma) / in_updates(family.every, of=n)
    yield Piece(first=0, value=_at_least(f"exp(-{slope!r} * t)", floor))


def _step(family: Step, n: int, floor: float) -> Iterator[Piece]:
    lines = (f"drops = floor(t / {in_updates(family.every, of=n)!r} + {TOLERANCE!r})",)
    yield Piece(first=0, lines=lines, value=_at_least(f"{family.gamma!r} ** drops", floor))


def _drops(family: Any, n: int, floor: float) -> Iterator[Piece]:
    """As `_step`, but one piece per level, unless there are more than `MAX_LEVELS`."""
    found = levels(family, n=n, end=n + 1, floor=floor)
    if found is None:
        yield from _step(family, n, floor)
        return
    for first, factor in found:
        yield Piece(first=first, value=f"{factor!r}")


def levels(family: Family, *, n: int, end: int, floor: float) -> tuple[tuple[int, float], ...] | None:
    """The levels of a family that is piecewise constant and never rises.

    Args:
        family: Constant, step or multi-step.
        n: Updates after the warm-up, at least 1.
        end: Levels that start there or later are left out; at most n + 1.
        floor: Fraction of the peak that bounds the levels from below.

    Returns:
        The first update of each level, counted from the end of the warm-up, and its fraction of the peak; ``None``
        for more than `MAX_LEVELS` levels.
    """

    def factor(t: int) -> float:
        return float(family.factors(np.array([float(t)]), n=n, floor=floor)[0])

    found = [(0, factor(0))]
    while len(found) <= MAX_LEVELS:
        # The factors fall monotonically, so bisection finds the end of a level in a run of any length.
        after = bisect_right(range(end), -found[-1][1], key=lambda t: -factor(t))
        if after == end:
            return tuple(found)
        found.append((after, factor(after)))
    return None


def _multi_step(family: MultiStep, n: int, floor: float) -> Iterator[Piece]:
    milestones = sorted(updates_within(each, of=n, field="family.milestones") for each in family.milestones)
    for drops, milestone in enumerate([0.0, *milestones]):
        yield Piece(first=math.ceil(milestone), value=f"{max(family.gamma**drops, floor)!r}")


def _inverse_sqrt(family: InverseSqrt, n: int, floor: float) -> Iterator[Piece]:
    value = f"1 / sqrt(1 + t / {in_updates(family.timescale, of=n)!r})"
    yield Piece(first=0, value=_at_least(value, floor))


def _power(family: Power, n: int, floor: float) -> Iterator[Piece]:
    value = f"max(t / {in_updates(family.onset, of=n)!r}, 1.0) ** {-family.exponent!r}"
    yield Piece(first=0, value=_at_least(value, floor))


def _piecewise_linear(family: PiecewiseLinear, n: int, floor: float) -> Iterator[Piece]:
    knots = [(updates_within(knot.at, of=n, field="family.knots"), knot.factor) for knot in family.knots]
    yield Piece(first=0, value=f"{max(knots[0][1], floor)!r}")
    for (at, factor), (end, after) in pairwise(knots):
        value = f"{factor!r} + {(after - factor) / (end - at)!r} * (t - {at!r})"
        yield Piece(first=math.ceil(at), value=_at_least(value, floor))
    yield Piece(first=math.ceil(knots[-1][0]), value=f"{max(knots[-1][1], floor)!r}")


def _segments(family: Segments, n: int, floor: float) -> Iterator[Piece]:
    lengths = segment_lengths(family.segments, n=n)
    ends = [snap_to_integer(end) for end in accumulate(lengths)]
    for segment, length, start, end in zip(family.segments, lengths, [0.0, *ends], ends, strict=False):
        yield _segment(segment, length=length, start=start, end=end, floor=floor)


def _segment(segment: Segment, *, length: float, start: float, end: float, floor: float) -> Piece:
    first = math.ceil(start)
    if segment.start == segment.end:
        return Piece(first=first, value=f"{max(segment.start, floor)!r}", note=segment.kind)
    lines = (
        f"x = min(max(1 - ({end!r} - t) / {length!r}, 0.0), 1.0)",
        f"left = {_curve(segment.kind, power=segment.power, rate=segment.rate)}",
    )
    value = _at_least(_between(segment.start, segment.end), floor)
    return Piece(first=first, lines=lines, value=value, note=segment.kind)


_PIECES: Final[dict[type, Callable[[Any, int, float], Iterator[Piece]]]] = {
    Constant: _constant,
    Linear: _linear,
    Cosine: _cosine,
    Polynomial: _polynomial,
    Rex: _rex,
    Wsd: _wsd,
    Sgdr: _sgdr,
    OneCycle: _one_cycle,
    Cyclic: _cyclic,
    Exponential: _exponential,
    Step: _step,
    MultiStep: _multi_step,
    InverseSqrt: _inverse_sqrt,
    Power: _power,
    PiecewiseLinear: _piecewise_linear,
    Segments: _segments,
}
