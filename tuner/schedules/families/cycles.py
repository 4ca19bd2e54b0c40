"""Families that rise again. A number of cycles fills the run, and it ends at the bottom of the last one; of cycles of
a period, the end of the run cuts the last one off.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tuner.errors import InvalidValue
from tuner.schedules import curves
from tuner.schedules.curves import Curve, interpolate
from tuner.schedules.families.base import BaseFamily
from tuner.schedules.lengths import TOLERANCE, Length, in_updates, snap_to_integer, span_text, updates_within
from tuner.schedules.values import Array, Factor, Finite

MAX_CYCLES: Final = 1000
Cycles = Annotated[int, Field(ge=1, le=MAX_CYCLES, strict=True)]
_OpenUnit = Annotated[Finite, Field(gt=0, lt=1)]
_CURVES: Final[dict[str, Curve]] = {"cosine": curves.cosine, "linear": curves.linear}
MIN_CYCLE: Final = 2
"""Updates of the shortest cycle at least: one update cannot show a rise or a fall, and a triangle of one is at 0."""


class _Cycling(BaseFamily):
    """Cycles of a number or of a period."""

    cycles: Cycles | None
    period: Length | None = None

    @model_validator(mode="before")
    @classmethod
    def _period_in_place_of_cycles(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and fields.get("period") is not None and "cycles" not in fields:
            return {**fields, "cycles": None}
        return fields

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cycles is None) == (self.period is None):
            value = "neither" if self.cycles is None else "both"
            raise InvalidValue("family", value=value, allowed="given one of cycles, period")
        return self

    def resolved(self, n: int, *, of: int) -> Self:
        """See `BaseFamily.resolved`."""
        if self.period is None:
            return self.model_copy(update={"cycles": min(self.cycles or 1, self._most_cycles(n))})
        if in_updates(self.period, of=of) / of * n >= MIN_CYCLE:
            return self
        return self.model_copy(update={"period": min(MIN_CYCLE / n, 1.0)})

    def _most_cycles(self, n: int) -> int:
        """The cycles that n updates can show, at least 1."""
        return max(n // MIN_CYCLE, 1)

    def _first_cycle(self, n: int) -> float:
        """Updates of a first cycle with a period.

        Raises:
            InvalidValue: Cycles of a number or of the period do not fit into n updates.
        """
        if self.period is None:
            most = self._most_cycles(n)
            if (self.cycles or 1) > most:
                allowed = f"at most {most}, so that each has {MIN_CYCLE} of the {n} updates after the warm-up"
                raise InvalidValue("family.cycles", value=self.cycles, allowed=allowed)
            return float(n)
        updates, least = in_updates(self.period, of=n), max(float(MIN_CYCLE), n / MAX_CYCLES)
        if updates < least * (1.0 - TOLERANCE):
            allowed = f"at least {least:.6g} updates: {MIN_CYCLE}, and 1/{MAX_CYCLES} of the {n} after the warm-up"
            raise InvalidValue("family.period", value=span_text(self.period), allowed=allowed)
        return updates

    @property
    def _cycles_text(self) -> str:
        return f"{self.cycles} cycles" if self.period is None else f"cycles of {span_text(self.period)}"


class Sgdr(_Cycling):
    """Cosine with warm restarts: in each cycle, ``(1 + cos(pi x)) / 2`` (Loshchilov and Hutter, arXiv 1608.03983).

    Of a number of cycles, cycle i has ``n multiplier^i / (1 + multiplier + ... + multiplier^(cycles - 1))`` updates;
    two at least, where there are several. With a period, cycle i has ``period multiplier^i``, and the run may end
    within a cycle.

    Example:
        At updates 0, W - 1, W, the middle of the rest (a restart) and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Schedule, Sgdr, Updates, Warmup
        >>> schedule = Schedule(peak_lr=1.0, family=Sgdr(cycles=2), warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 1.0, 0.001]
        >>> Schedule(peak_lr=1.0, family=Sgdr(period=Updates(updates=4))).lrs(10).round(3).tolist()
        [1.0, 0.854, 0.5, 0.146, 1.0, 0.854, 0.5, 0.146, 1.0, 0.854]
    """

    name: Literal["sgdr"] = "sgdr"
    cycles: Cycles | None = 2
    """Cycles that fill the run; absent with ``period``."""
    period: Length | None = None
    """Length of the first cycle, in place of ``cycles``."""
    multiplier: Annotated[Finite, Field(ge=1, le=10)] = 1.0
    """Ratio of the lengths of successive cycles."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        edges = cycle_edges(self, n=n)
        # The inner edges alone, so that t = n belongs to the last cycle and does not begin another.
        cycle = np.searchsorted(edges[1:-1], t, side="right")
        x = (t - edges[cycle]) / (edges[cycle + 1] - edges[cycle])
        return interpolate(1.0, floor, curves.cosine(x))

    def _most_cycles(self, n: int) -> int:
        """The cycles of which the first, the shortest, has `MIN_CYCLE` updates."""
        most, total, length = 0, 0.0, 1.0
        while most < (self.cycles or 1) and (total := total + length) * MIN_CYCLE <= n * (1.0 + TOLERANCE):
            most, length = most + 1, length * self.multiplier
        return max(most, 1)

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        growth = "" if self.multiplier == 1 else f" growing x {self.multiplier:.3g}"
        return f"sgdr {self._cycles_text}{growth}"


def cycle_edges(family: Sgdr, *, n: int) -> Array:
    """Start of every cycle, in updates after the warm-up, and the end of the last: float64 ``[cycles + 1]``.

    The last one ends at n, or after it where the run ends within a cycle.

    Raises:
        InvalidValue: The cycles do not fit into n updates.
    """
    first = family._first_cycle(n)
    if family.period is None:
        # Exponents up to 0: relative lengths are at most 1 and cannot overflow, whatever the number of cycles.
        lengths = family.multiplier ** np.arange(1.0 - (family.cycles or 1), 1.0)
        ends = np.cumsum(lengths / lengths.sum()) * n
        return np.array([0.0, *(snap_to_integer(end) for end in ends[:-1]), n])
    edges, length = [0.0], first
    while edges[-1] < n * (1.0 - TOLERANCE):
        edges.append(snap_to_integer(edges[-1] + length))
        length *= family.multiplier
    return np.array(edges)


def whole_cycles(family: Sgdr | Cyclic, *, n: int) -> int | None:
    """The number of equal cycles that fill n updates; ``None`` where they grow, or the run ends within one."""
    if isinstance(family, Sgdr) and family.multiplier != 1:
        return None
    if family.period is None:
        return family.cycles
    cycles = snap_to_integer(n / in_updates(family.period, of=n))
    return round(cycles) if cycles == round(cycles) else None


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


class Cyclic(_Cycling):
    """Triangles between the floor and the peak (Smith, arXiv 1506.01186).

    In cycle i, with progress x in [0, 1) within the cycle, the triangle is ``x / rise`` and then
    ``(1 - x) / (1 - rise)``. Its height is 1 (triangular), ``1 / 2^i`` (triangular2) or ``gamma^(i + x)`` (exp_range).
    It starts at the bottom, so it refuses a warm-up. Where there are several cycles, each has two updates at least; of
    cycles of a period, the end of the run may cut the last one off.

    Example:
        At updates 0, 9, 10, 60 (early in the second cycle) and T - 1, for T = 110:

        >>> from tuner.schedules import Cyclic, Schedule, Updates
        >>> schedule = Schedule(peak_lr=1.0, family=Cyclic(cycles=2))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.0, 0.3273, 0.3636, 0.1818, 0.0364]
        >>> Schedule(peak_lr=1.0, family=Cyclic(period=Updates(updates=4))).lrs(6).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
    """

    name: Literal["cyclic"] = "cyclic"
    cycles: Cycles | None = 4
    """Cycles that fill the run; absent with ``period``."""
    period: Length | None = None
    """Length of a cycle, in place of ``cycles``."""
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
        cycles, length = cycle_count(self, n=n), self._first_cycle(n)
        position = t * cycles / n if self.period is None else t / length
        # t = n is the end of the last cycle, x = 1, not the start of another.
        cycle = np.minimum(np.floor(position), cycles - 1.0)
        x = position - cycle
        height = np.minimum(x / self.rise, (1.0 - x) / (1.0 - self.rise))
        if self.mode == "triangular2":
            height = np.ldexp(height, -cycle.astype(np.int64))
        elif self.gamma is not None:
            height = height * np.exp(np.log(self.gamma) * position)
        return interpolate(1.0, floor, height)

    @property
    def starts_at_peak(self) -> bool:
        """See `BaseFamily.starts_at_peak`."""
        return False

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"cyclic {self.mode} {self._cycles_text}"


def cycle_count(family: Cyclic, *, n: int) -> int:
    """The cycles that begin within n updates."""
    if family.period is None:
        return family.cycles or 1
    return math.ceil(snap_to_integer(n / in_updates(family.period, of=n)))
