"""Families that are composed of knots or segments, so that a new shape needs no new family."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tuner.errors import InvalidValue
from tuner.schedules import curves
from tuner.schedules.curves import Curve, interpolate
from tuner.schedules.families.base import BaseFamily, ScalableValue
from tuner.schedules.lengths import TOLERANCE, Length, Span, in_updates, snap_to_integer, updates_within
from tuner.schedules.values import Array, Factor, Positive

SegmentKind = Literal["constant", "linear", "cosine", "1-sqrt", "rex", "polynomial", "exponential"]


class Knot(ScalableValue):
    """A point of a piecewise linear schedule."""

    at: Span
    """Position, counted from the end of the warm-up."""
    factor: Factor
    """The rate there, as a fraction of the peak."""


class PiecewiseLinear(BaseFamily):
    """Linear interpolation between knots; constant before the first and after the last.

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Knot, PiecewiseLinear, Schedule, Warmup
        >>> family = PiecewiseLinear(knots=(Knot(at=0.0, factor=1.0), Knot(at=1.0, factor=0.2)))
        >>> schedule = Schedule(peak_lr=1.0, family=family, warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.6, 0.208]
    """

    name: Literal["piecewise_linear"] = "piecewise_linear"
    knots: tuple[Knot, ...] = Field(min_length=2, max_length=100)
    """Each later than the one before."""

    @model_validator(mode="after")
    def _check_knots(self) -> Self:
        fractions = [knot.at for knot in self.knots if isinstance(knot.at, float)]
        if len(fractions) == len(self.knots):
            _check_order(fractions)
        return self

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        positions = [updates_within(knot.at, of=n, field="family.knots") for knot in self.knots]
        _check_order(positions)
        return np.maximum(np.interp(t, positions, [knot.factor for knot in self.knots]), floor)

    @property
    def starts_at_peak(self) -> bool:
        """See `BaseFamily.starts_at_peak`."""
        return self.knots[0].factor == 1

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"piecewise linear with {len(self.knots)} knots"


class Segment(ScalableValue):
    """Part of a schedule: from factor ``start`` to factor ``end`` along a curve."""

    kind: SegmentKind
    length: Length | None = None
    """The updates that the other segments leave, when absent."""
    start: Factor
    end: Factor
    """Equal to ``start`` for ``constant``."""
    power: Annotated[Positive, Field(le=100)] | None = None
    """For ``polynomial`` alone, where it is required."""
    rate: Annotated[Positive, Field(le=100)] | None = None
    """For ``exponential`` alone; ``ln(start / end)`` makes a geometric descent, and ``ln(100)`` is the default."""

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        if (self.power is None) == (self.kind == "polynomial"):
            allowed = "given" if self.power is None else "absent"
            raise InvalidValue("power", value=self.power, allowed=f"{allowed} when the kind is {self.kind!r}")
        if self.rate is not None and self.kind != "exponential":
            raise InvalidValue("rate", value=self.rate, allowed=f"absent when the kind is {self.kind!r}")
        if self.kind == "constant" and self.start != self.end:
            raise InvalidValue("end", value=self.end, allowed=f"the start, {self.start}, when the kind is 'constant'")
        return self

    def factors(self, x: Array) -> Array:
        """Fractions of the peak at progress ``x`` in [0, 1] within the segment."""
        return interpolate(self.start, self.end, self._curve(x))

    @property
    def _curve(self) -> Curve:
        match self.kind:
            case "constant" | "linear":
                return curves.linear
            case "cosine":
                return curves.cosine
            case "1-sqrt":
                return curves.one_minus_sqrt
            case "rex":
                return curves.rex
            case "polynomial":
                return curves.polynomial(self.power or 1.0)
            case "exponential":
                return curves.exponential(self.rate or curves.EXPONENTIAL_RATE)


class Segments(BaseFamily):
    """Segments in sequence, which fill the updates after the warm-up exactly.

    One segment may end at another factor than the next one starts at.

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Schedule, Segment, Segments, Warmup
        >>> hold = Segment(kind="constant", start=1.0, end=1.0)
        >>> decay = Segment(kind="cosine", length=0.6, start=1.0, end=0.0)
        >>> warmup = Warmup(shape="linear", updates=10)
        >>> schedule = Schedule(peak_lr=1.0, family=Segments(segments=(hold, decay)), warmup=warmup)
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.933, 0.0007]
    """

    name: Literal["segments"] = "segments"
    segments: tuple[Segment, ...] = Field(min_length=1, max_length=100)
    """At most one of them without a length."""

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        lengths = [segment.length for segment in self.segments]
        if lengths.count(None) > 1:
            raise InvalidValue("family.segments", value=lengths, allowed="without a length in one place at most")
        if all(isinstance(length, float) for length in lengths):
            segment_lengths(self.segments, n=1)
        return self

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        lengths = segment_lengths(self.segments, n=n)
        ends = [snap_to_integer(end) for end in accumulate(lengths)]
        # t ascends, so each segment is one slice; the last takes the rest, t = n included.
        bounds = pairwise([0, *np.searchsorted(t, ends[:-1]), t.size])
        factors = np.empty_like(t)
        for segment, length, end, (first, last) in zip(self.segments, lengths, ends, bounds, strict=True):
            if first < last:
                # Rounded ends may put x just outside [0, 1], where sqrt and powers are not defined.
                x = np.clip(1.0 - (end - t[first:last]) / length, 0.0, 1.0)
                factors[first:last] = segment.factors(x)
        return np.maximum(factors, floor)

    @property
    def starts_at_peak(self) -> bool:
        """See `BaseFamily.starts_at_peak`."""
        return self.segments[0].start == 1

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"segments {', '.join(segment.kind for segment in self.segments)}"


def _check_order(positions: list[float]) -> None:
    if any(later <= earlier for earlier, later in pairwise(positions)):
        raise InvalidValue("family.knots", value=positions, allowed="each later than the one before")


def segment_lengths(segments: tuple[Segment, ...], *, n: int) -> list[float]:
    """Lengths of the segments in updates, n in sum.

    Raises:
        InvalidValue: The lengths do not add up to n, or leave nothing to the segment without a length.
    """
    lengths = [None if segment.length is None else in_updates(segment.length, of=n) for segment in segments]
    total = math.fsum(length for length in lengths if length is not None)
    if None in lengths:
        if total >= n * (1.0 - TOLERANCE):
            raise InvalidValue(
                "family.segments", value=total, allowed=f"less than {n} long, to leave some to the one without a length"
            )
    elif abs(n - total) > TOLERANCE * n:
        raise InvalidValue(
            "family.segments", value=total, allowed=f"{n} long in sum", hint="One of them may be without a length."
        )
    return [n - total if length is None else length for length in lengths]
