"""Families that decay from the peak to the floor once, and reach it at the end of the run."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tuner.errors import InvalidValue
from tuner.schedules import curves
from tuner.schedules.curves import Curve, interpolate
from tuner.schedules.families.base import BaseFamily
from tuner.schedules.lengths import Length, span_text, updates_within
from tuner.schedules.values import Array, Positive

CooldownShape = Literal["linear", "1-sqrt", "cosine", "exponential", "polynomial"]
Power = Annotated[Positive, Field(le=100)]
_COOLDOWNS: Final[dict[CooldownShape, Curve]] = {
    "linear": curves.linear,
    "1-sqrt": curves.one_minus_sqrt,
    "cosine": curves.cosine,
    "exponential": curves.exponential(),
}


class Linear(BaseFamily):
    """Linear decay, ``1 - p``.

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Linear, Schedule, Warmup
        >>> schedule = Schedule(peak_lr=1.0, family=Linear(), warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.5, 0.01]
    """

    name: Literal["linear"] = "linear"

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return interpolate(1.0, floor, curves.linear(t / n))


class Cosine(BaseFamily):
    """Cosine decay, ``(1 + cos(pi p)) / 2`` (Loshchilov and Hutter, arXiv 1608.03983, without restarts).

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Cosine, Schedule, Warmup
        >>> schedule = Schedule(peak_lr=1.0, family=Cosine(), warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.5, 0.0002]
    """

    name: Literal["cosine"] = "cosine"

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return interpolate(1.0, floor, curves.cosine(t / n))


class Polynomial(BaseFamily):
    """Polynomial decay, ``(1 - p)^power``.

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Polynomial, Schedule, Warmup
        >>> schedule = Schedule(peak_lr=1.0, family=Polynomial(power=2.0), warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.25, 0.0001]
    """

    name: Literal["polynomial"] = "polynomial"
    power: Power = 2.0

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return interpolate(1.0, floor, curves.polynomial(self.power)(t / n))

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"polynomial of power {self.power:.3g}"


class Rex(BaseFamily):
    """``(1 - p) / (1/2 + (1 - p) / 2)`` (Chen et al., arXiv 2107.04197).

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Rex, Schedule, Warmup
        >>> schedule = Schedule(peak_lr=1.0, family=Rex(), warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.6667, 0.0198]
    """

    name: Literal["rex"] = "rex"

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return interpolate(1.0, floor, curves.rex(t / n))


class Wsd(BaseFamily):
    """Warm-up, stable, decay: the peak, then a cooldown of d updates that ends with the run (arXiv 2404.06395).

    With ``x = 1 - (n - t) / d`` the cooldown is ``1 - x`` (linear), ``1 - sqrt(x)`` (1-sqrt; Hägele et al., arXiv
    2405.18392), ``(1 + cos(pi x)) / 2`` (cosine), ``(100^-x - 1/100) / (1 - 1/100)`` (exponential) or
    ``(1 - x)^power`` (polynomial).

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Schedule, Warmup, Wsd
        >>> schedule = Schedule(peak_lr=1.0, family=Wsd(cooldown=0.6), warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.5918, 0.0084]
    """

    name: Literal["wsd"] = "wsd"
    cooldown: Length = 0.2
    """d: a fraction of the updates after the warm-up, or a number of updates; at most all of them."""
    shape: CooldownShape = "1-sqrt"
    power: Power | None = None
    """For the shape ``polynomial`` alone, where it is required."""

    @model_validator(mode="after")
    def _power_for_polynomial(self) -> Self:
        if (self.power is None) == (self.shape == "polynomial"):
            allowed = "given" if self.power is None else "absent"
            raise InvalidValue("family.power", value=self.power, allowed=f"{allowed} when the shape is {self.shape!r}")
        return self

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        cooldown = updates_within(self.cooldown, of=n, field="family.cooldown")
        # From the end, so that x is exactly 1 at t = n; before the cooldown x is negative, where sqrt is not defined.
        x = np.maximum(1.0 - (n - t) / cooldown, 0.0)
        curve = _COOLDOWNS[self.shape] if self.power is None else curves.polynomial(self.power)
        return interpolate(1.0, floor, curve(x))

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        power = "" if self.power is None else f" of power {self.power:.3g}"
        return f"wsd {self.shape} cooldown{power} {span_text(self.cooldown)}"
