"""Families that rise again. Their cycles fill the run, so that it ends at the bottom of the last one."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tuner.errors import InvalidValue
from tuner.schedules import curves
from tuner.schedules.curves import Curve, interpolate
from tuner.schedules.families.base import BaseFamily
from tuner.schedules.lengths import TOLERANCE, Length, snap_to_integer, span_text, updates_within
from tuner.schedules.values import Array, Factor, Finite

Cycles = Annotated[int, Field(ge=1, le=1000, strict=True)]
_OpenUnit = Annotated[Finite, Field(gt=0, lt=1)]
_CURVES: Final[dict[str, Curve]] = {"cosine": curves.cosine, "linear": curves.linear}
MIN_CYCLE: Final = 2
"""Updates of the shortest cycle at least: one update cannot show a rise or a fall, and a triangle of one is at 0."""


class Sgdr(BaseFamily):
    """Cosine with warm restarts: in each cycle, ``(1 + cos(pi x)) / 2`` (Loshchilov and Hutter, arXiv 1608.03983).

    Cycle i has ``n multiplier^i / (1 + multiplier + ... + multiplier^(cycles - 1))`` updates; two at least, where there
    are several.

    Example:
        At updates 0, W - 1, W, the middle of the rest (a restart) and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Schedule, Sgdr, Warmup
        >>> schedule = Schedule(peak_lr=1.0, family=Sgdr(cycles=2), warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 1.0, 0.001]
    """

    name: Literal["sgdr"] = "sgdr"
    cycles: Cycles = 2
    multiplier: Annotated[Finite, Field(ge=1, le=10)] = 1.0
    """Ratio of the lengths of successive cycles."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        _check_cycles(self.cycles, most=self._most_cycles(n), n=n)
        edges = cycle_edges(self, n=n)
        # The inner edges alone, so that t = n belongs to the last cycle and does not begin another.
        cycle = np.searchsorted(edges[1:-1], t, side="right")
        x = (t - edges[cycle]) / (edges[cycle + 1] - edges[cycle])
        return interpolate(1.0, floor, curves.cosine(x))

    def resolved(self, n: int) -> Self:
        """See `BaseFamily.resolved`."""
        return self.model_copy(update={"cycles": min(self.cycles, self._most_cycles(n))})

    def _most_cycles(self, n: int) -> int:
        """The cycles of which the first, the shortest, has `MIN_CYCLE` updates."""
        most, total, length = 0, 0.0, 1.0
        while most < self.cycles and (total := total + length) * MIN_CYCLE <= n * (1.0 + TOLERANCE):
            most, length = most + 1, length * self.multiplier
        return max(most, 1)

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        growth = "" if self.multiplier == 1 else f" growing x {self.multiplier:.3g}"
        return f"sgdr {self.cycles} cycles{growth}"


def cycle_edges(family: Sgdr, *, n: int) -> Array:
    """Start of every cycle, in updates after the warm-up, and the end of the last: float64 ``[cycles + 1]``."""
    # Exponents up to 0: relative lengths are at most 1 and cannot overflow, whatever the number of cycles.
    lengths = family.multiplier ** np.arange(1.0 - family.cycles, 1.0)
    ends = np.cumsum(lengths / lengths.sum()) * n
    return np.array([0.0, *(snap_to_integer(end) for end in ends[:-1]), n])


class OneCycle(BaseFamily):
    """From the start factor up to the peak over ``rise``, then down to the floor (Smith, arXiv 1708.07120).

    It has its own rise, so it refuses a warm-up.

    Example:
        At updates 0, 9, 10 (the peak), the middle of the descent and T - 1, for T = 110:

        >>> from tuner.schedules import OneCycle, Schedule, Updates
        >>> schedule = Schedule(peak_lr=1.0, family=OneCycle(rise=Updates(updates=10)))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.04, 0.9765, 1.0, 0.5, 0.0002]
    """

    name: Literal["one_cycle"] = "one_cycle"
    rise: Length = 0.3
    """Length of the rise to the peak; less than the whole run."""
    start_factor: Factor = 0.04
    """Fraction of the peak at update 0."""
    shape: Literal["cosine", "linear"] = "cosine"
    """Curve of both the rise and the descent."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        rise = updates_within(self.rise, of=n, field="family.rise")
        if rise == n:
            raise InvalidValue("family.rise", value=span_text(self.rise), allowed=f"less than the run of {n} updates")
        curve = _CURVES[self.shape]
        peak = int(np.searchsorted(t, rise))
        up = interpolate(max(self.start_factor, floor), 1.0, curve(t[:peak] / rise))
        # Measured from the end, so that progress at t = n is exactly 1.
        down = interpolate(1.0, floor, curve(1.0 - (n - t[peak:]) / (n - rise)))
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

    In cycle i, with progress x in [0, 1) within the cycle, the triangle is ``x / rise`` and then
    ``(1 - x) / (1 - rise)``. Its height is 1 (triangular), ``1 / 2^i`` (triangular2) or ``gamma^(i + x)`` (exp_range).
    It starts at the bottom, so it refuses a warm-up. Where there are several cycles, each has two updates at least.

    Example:
        At updates 0, 9, 10, 60 (early in the second cycle) and T - 1, for T = 110:

        >>> from tuner.schedules import Cyclic, Schedule
        >>> schedule = Schedule(peak_lr=1.0, family=Cyclic(cycles=2))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.0, 0.3273, 0.3636, 0.1818, 0.0364]
    """

    name: Literal["cyclic"] = "cyclic"
    cycles: Cycles = 4
    rise: _OpenUnit = 0.5
    """Fraction of a cycle that rises."""
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    gamma: _OpenUnit | None = None
    """Ratio of the heights of successive cycles; for ``exp_range`` alone."""

    @model_validator(mode="after")
    def _gamma_for_exp_range(self) -> Self:
        if (self.gamma is None) == (self.mode == "exp_range"):
            allowed = "in (0, 1)" if self.gamma is None else "absent"
            raise InvalidValue("family.gamma", value=self.gamma, allowed=f"{allowed} when the mode is {self.mode!r}")
        return self

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        _check_cycles(self.cycles, most=_most_equal_cycles(n), n=n)
        position = t * self.cycles / n
        # t = n is the end of the last cycle, x = 1, not the start of another.
        cycle = np.minimum(np.floor(position), self.cycles - 1.0)
        x = position - cycle
        height = np.minimum(x / self.rise, (1.0 - x) / (1.0 - self.rise))
        if self.mode == "triangular2":
            height = np.ldexp(height, -cycle.astype(np.int64))
        elif self.gamma is not None:
            height = height * np.exp(np.log(self.gamma) * position)
        return interpolate(1.0, floor, height)

    def resolved(self, n: int) -> Self:
        """See `BaseFamily.resolved`."""
        return self.model_copy(update={"cycles": min(self.cycles, _most_equal_cycles(n))})

    @property
    def starts_at_peak(self) -> bool:
        """See `BaseFamily.starts_at_peak`."""
        return False

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"cyclic {self.mode} {self.cycles} cycles"


def _most_equal_cycles(n: int) -> int:
    return max(n // MIN_CYCLE, 1)


def _check_cycles(cycles: int, *, most: int, n: int) -> None:
    if cycles > most:
        allowed = f"at most {most}, so that each has {MIN_CYCLE} of the {n} updates after the warm-up"
        raise InvalidValue("family.cycles", value=cycles, allowed=allowed)
