"""Families that go down from the peak to the floor once and arrive at the end of the run."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from tuner.schedules import curves
from tuner.schedules.curves import Curve, between
from tuner.schedules.families.base import BaseFamily
from tuner.schedules.lengths import Length, fitting, span_text
from tuner.schedules.values import Array, Positive

CooldownShape = Literal["linear", "1-sqrt", "cosine", "exponential"]
_COOLDOWNS: Final[dict[CooldownShape, Curve]] = {
    "linear": curves.linear,
    "1-sqrt": curves.one_minus_sqrt,
    "cosine": curves.cosine,
    "exponential": curves.exponential(),
}


class Linear(BaseFamily):
    """``1 - p``."""

    name: Literal["linear"] = "linear"

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return between(1.0, floor, curves.linear(t / n))


class Cosine(BaseFamily):
    """``(1 + cos(pi p)) / 2``."""

    name: Literal["cosine"] = "cosine"

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return between(1.0, floor, curves.cosine(t / n))


class Polynomial(BaseFamily):
    """``(1 - p)^power``."""

    name: Literal["polynomial"] = "polynomial"
    power: Annotated[Positive, Field(le=100)] = 2.0

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return between(1.0, floor, curves.polynomial(self.power)(t / n))

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"polynomial of power {self.power:.3g}"


class Rex(BaseFamily):
    """``(1 - p) / (1/2 + (1 - p) / 2)`` (Chen et al., arXiv 2107.04197)."""

    name: Literal["rex"] = "rex"

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return between(1.0, floor, curves.rex(t / n))


class Wsd(BaseFamily):
    """Warm-up, stable, decay: the peak, then a cooldown of d updates that ends with the run.

    With ``x = 1 - (n - t) / d`` the cooldown is ``1 - x`` (linear), ``1 - sqrt(x)`` (1-sqrt),
    ``(1 + cos(pi x)) / 2`` (cosine) or
    ``(100^-x - 1/100) / (1 - 1/100)`` (exponential).
    """

    name: Literal["wsd"] = "wsd"
    cooldown: Length = 0.2
    """d: a fraction of the updates after the warm-up, or updates; at most all of them."""
    shape: CooldownShape = "1-sqrt"

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        cooldown = fitting(self.cooldown, of=n, field="family.cooldown")
        x = np.maximum(1.0 - (n - t) / cooldown, 0.0)
        return between(1.0, floor, _COOLDOWNS[self.shape](x))

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"wsd {self.shape} cooldown {span_text(self.cooldown)}"
