"""Families that go up as well as down. Their cycles fill the run, so that it ends at the bottom of the last one."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tuner.errors import InvalidValue
from tuner.schedules import curves
from tuner.schedules.curves import Curve, between
from tuner.schedules.families.base import BaseFamily
from tuner.schedules.lengths import Length, fitting, snapped, span_text
from tuner.schedules.values import Array, Factor, Finite

Cycles = Annotated[int, Field(ge=1, le=1000, strict=True)]
_OpenUnit = Annotated[Finite, Field(gt=0, lt=1)]
_WAYS: Final[dict[str, Curve]] = {"cosine": curves.cosine, "linear": curves.linear}


class Sgdr(BaseFamily):
    """Cosine with warm restarts: in each cycle, ``(1 + cos(pi x)) / 2`` (Loshchilov and Hutter, arXiv 1608.03983).

    Cycle i has ``n multiplier^i / (1 + multiplier + ... + multiplier^(cycles - 1))`` updates.
    """

    name: Literal["sgdr"] = "sgdr"
    cycles: Cycles = 2
    multiplier: Annotated[Finite, Field(ge=1, le=10)] = 1.0
    """Length of a cycle over that of the one before."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        edges = cycle_edges(self, n=n)
        cycle = np.searchsorted(edges[1:-1], t, side="right")
        x = (t - edges[cycle]) / (edges[cycle + 1] - edges[cycle])
        return between(1.0, floor, curves.cosine(x))

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        growth = "" if self.multiplier == 1 else f" growing x {self.multiplier:.3g}"
        return f"sgdr {self.cycles} cycles{growth}"


def cycle_edges(family: Sgdr, *, n: int) -> Array:
    """Where the cycles begin, in updates after the warm-up, and then the end of the last; ``[cycles + 1]``."""
    lengths = family.multiplier ** np.arange(1.0 - family.cycles, 1.0)
    ends = np.cumsum(lengths / lengths.sum()) * n
    return np.array([0.0, *(snapped(end) for end in ends[:-1]), n])


class OneCycle(BaseFamily):
    """Up from the start factor to the peak over ``rise``, then down to the floor (Smith, arXiv 1708.07120).

    It has its own rise, so it refuses a warm-up.
    """

    name: Literal["one_cycle"] = "one_cycle"
    rise: Length = 0.3
    """Updates until the peak; less than the whole run."""
    start_factor: Factor = 0.04
    """Of the peak, at update 0."""
    shape: Literal["cosine", "linear"] = "cosine"
    """Of both ways."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        rise = fitting(self.rise, of=n, field="family.rise")
        if rise == n:
            raise InvalidValue("family.rise", value=span_text(self.rise), allowed=f"less than the run of {n} updates")
        way = _WAYS[self.shape]
        peak = int(np.searchsorted(t, rise))
        up = between(max(self.start_factor, floor), 1.0, way(t[:peak] / rise))
        down = between(1.0, floor, way(1.0 - (n - t[peak:]) / (n - rise)))
        return np.concatenate((up, down))

    @property
    def starts_at_peak(self) -> bool:
        """See `BaseFamily.starts_at_peak`."""
        return False

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"one-cycle {self.shape}, rise {span_text(self.rise)}"


class Cyclic(BaseFamily):
    """Triangles between the floor and the peak (Smith, arXiv 1506.01186).

    In cycle i, with x in [0, 1) the share of it that has passed, the triangle is ``x / rise`` and then
    ``(1 - x) / (1 - rise)``. Its height is 1 (triangular), ``1 / 2^i`` (triangular2) or ``gamma^(i + x)`` (exp_range).
    It starts at the bottom, so it refuses a warm-up.
    """

    name: Literal["cyclic"] = "cyclic"
    cycles: Cycles = 4
    rise: _OpenUnit = 0.5
    """Share of a cycle that goes up."""
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    gamma: _OpenUnit | None = None
    """Height of a cycle over that of the one before; for ``exp_range`` alone."""

    @model_validator(mode="after")
    def _gamma_for_exp_range(self) -> Self:
        if (self.gamma is None) == (self.mode == "exp_range"):
            allowed = "in (0, 1)" if self.gamma is None else "absent"
            raise InvalidValue("family.gamma", value=self.gamma, allowed=f"{allowed} when the mode is {self.mode!r}")
        return self

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        passed = t * self.cycles / n
        cycle = np.minimum(np.floor(passed), self.cycles - 1.0)
        x = passed - cycle
        height = np.minimum(x / self.rise, (1.0 - x) / (1.0 - self.rise))
        if self.mode == "triangular2":
            height = np.ldexp(height, -cycle.astype(np.int64))
        elif self.gamma is not None:
            height = height * np.exp(np.log(self.gamma) * passed)
        return between(1.0, floor, height)

    @property
    def starts_at_peak(self) -> bool:
        """See `BaseFamily.starts_at_peak`."""
        return False

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"cyclic {self.mode} {self.cycles} cycles"
