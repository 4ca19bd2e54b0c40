"""Families that are put together by hand, so that a new shape needs no new family."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tuner.errors import InvalidValue
from tuner.schedules import curves
from tuner.schedules.curves import Curve, between
from tuner.schedules.families.base import BaseFamily, ScalableValue
from tuner.schedules.lengths import ROUNDING, Length, Span, fitting, in_updates, snapped
from tuner.schedules.values import Array, Factor, Positive

SegmentKind = Literal["constant", "linear", "cosine", "1-sqrt", "rex", "polynomial", "exponential"]


class Knot(ScalableValue):
    """A point that a piecewise linear schedule goes through."""

    at: Span
    """Counted from the end of the warm-up."""
    factor: Factor


class PiecewiseLinear(BaseFamily):
    """Straight lines from knot to knot; level before the first and after the last."""

    name: Literal["piecewise_linear"] = "piecewise_linear"
    knots: tuple[Knot, ...] = Field(min_length=2, max_length=100)
    """Each later than the one before."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        fractions = [knot.at for knot in self.knots if isinstance(knot.at, float)]
        if len(fractions) == len(self.knots):
            _check_order(fractions)
        return self

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        places = [fitting(knot.at, of=n, field="family.knots") for knot in self.knots]
        _check_order(places)
        return np.maximum(np.interp(t, places, [knot.factor for knot in self.knots]), floor)

    @property
    def starts_at_peak(self) -> bool:
        """See `BaseFamily.starts_at_peak`."""
        return self.knots[0].factor == 1

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"piecewise linear with {len(self.knots)} knots"


class Segment(ScalableValue):
    """A stretch of a schedule: from ``start`` to ``end`` along a curve."""

    kind: SegmentKind
    length: Length | None = None
    """All that the others leave, when absent."""
    start: Factor
    end: Factor
    """Equal to ``start`` for ``constant``."""
    power: Annotated[Positive, Field(le=100)] | None = None
    """For ``polynomial`` alone, where it must be given."""
    rate: Annotated[Positive, Field(le=100)] | None = None
    """For ``exponential`` alone; ``ln(start / end)`` makes a geometric descent, and ``ln(100)`` is the default."""

    @model_validator(mode="after")
    def _fields_of_the_kind(self) -> Self:
        if (self.power is None) == (self.kind == "polynomial"):
            allowed = "given" if self.power is None else "absent"
            raise InvalidValue("power", value=self.power, allowed=f"{allowed} when the kind is {self.kind!r}")
        if self.rate is not None and self.kind != "exponential":
            raise InvalidValue("rate", value=self.rate, allowed=f"absent when the kind is {self.kind!r}")
        if self.kind == "constant" and self.start != self.end:
            raise InvalidValue("end", value=self.end, allowed=f"the start, {self.start}, when the kind is 'constant'")
        return self

    def factors(self, x: Array) -> Array:
        """Fractions of the peak after the shares ``x`` of the segment."""
        return between(self.start, self.end, self._curve(x))

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
    """Segments one after the other, which fill the stretch after the warm-up exactly. They need not join."""

    name: Literal["segments"] = "segments"
    segments: tuple[Segment, ...] = Field(min_length=1, max_length=100)
    """At most one of them without a length."""

    @model_validator(mode="after")
    def _fill(self) -> Self:
        lengths = [segment.length for segment in self.segments]
        if lengths.count(None) > 1:
            raise InvalidValue("family.segments", value=lengths, allowed="without a length in one place at most")
        if all(isinstance(length, float) for length in lengths):
            segment_lengths(self.segments, n=1)
        return self

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        lengths = segment_lengths(self.segments, n=n)
        ends = [snapped(end) for end in accumulate(lengths)]
        bounds = pairwise([0, *np.searchsorted(t, ends[:-1]), t.size])
        factors = np.empty_like(t)
        for segment, length, end, (first, last) in zip(self.segments, lengths, ends, bounds, strict=True):
            if first < last:
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


def _check_order(places: list[float]) -> None:
    if any(later <= earlier for earlier, later in pairwise(places)):
        raise InvalidValue("family.knots", value=places, allowed="each later than the one before")


def segment_lengths(segments: tuple[Segment, ...], *, n: int) -> list[float]:
    """The lengths of the segments in updates, which make n together."""
    lengths = [None if segment.length is None else in_updates(segment.length, of=n) for segment in segments]
    given = math.fsum(length for length in lengths if length is not None)
    if None in lengths:
        if given >= n * (1.0 - ROUNDING):
            raise InvalidValue(
                "family.segments", value=given, allowed=f"less than {n} long, to leave some to the one without a length"
            )
    elif abs(n - given) > ROUNDING * n:
        raise InvalidValue(
            "family.segments", value=given, allowed=f"{n} long in sum", hint="One of them may be without a length."
        )
    return [n - given if length is None else length for length in lengths]
