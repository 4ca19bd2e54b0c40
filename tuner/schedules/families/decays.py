"""Families whose formula knows no end: they scale down from the peak, and a floor cuts them off."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tuner.errors import InvalidValue
from tuner.schedules.families.base import BaseFamily
from tuner.schedules.lengths import ROUNDING, Length, fitting, in_updates, span_text
from tuner.schedules.values import Array, Finite, Positive

Gamma = Annotated[Finite, Field(gt=0, lt=1)]
"""What the rate is multiplied by, again and again."""


class Constant(BaseFamily):
    """``1``: the peak throughout."""

    name: Literal["constant"] = "constant"

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return np.ones_like(t)


class Exponential(BaseFamily):
    """``exp(-rate p)``, or ``gamma^(t / every)``: smooth, not in steps (for steps see `Step`)."""

    name: Literal["exponential"] = "exponential"
    rate: Annotated[Positive, Field(le=100)] | None = None
    """The rate at the end is ``exp(-rate)`` of the peak. Given alone."""
    gamma: Gamma | None = None
    """Given together with ``every``."""
    every: Length | None = None
    """The length over which the rate is multiplied by ``gamma`` once."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = {name for name in ("rate", "gamma", "every") if getattr(self, name) is not None}
        if given not in ({"rate"}, {"gamma", "every"}):
            raise InvalidValue(
                "family", value=", ".join(sorted(given)) or "neither", allowed="given rate alone, or gamma and every"
            )
        return self

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        if self.gamma is None or self.every is None:
            exponents = (self.rate or 0.0) / n * t
        else:
            exponents = -np.log(self.gamma) / in_updates(self.every, of=n) * t
        return np.maximum(np.exp(-exponents), floor)

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        if self.every is None:
            return f"exponential of rate {self.rate:.3g}"
        return f"exponential x {self.gamma:.3g} every {span_text(self.every)}"


class Step(BaseFamily):
    """``gamma^floor(t / every)``."""

    name: Literal["step"] = "step"
    gamma: Gamma = 0.1
    every: Length = 0.3
    """Updates between drops."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        drops = np.floor(t / in_updates(self.every, of=n) + ROUNDING)
        return np.maximum(self.gamma**drops, floor)

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"step x {self.gamma:.3g} every {span_text(self.every)}"


class MultiStep(BaseFamily):
    """``gamma^k`` after k milestones: the first update at or after a milestone is the first with the lower rate."""

    name: Literal["multi_step"] = "multi_step"
    gamma: Gamma = 0.1
    milestones: Annotated[tuple[Length, ...], Field(min_length=1, max_length=100)] = (0.5, 0.75)
    """Counted from the end of the warm-up, within the run. Those at the same place multiply."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        places = np.sort([fitting(place, of=n, field="family.milestones") for place in self.milestones])
        by_drops = np.maximum(self.gamma ** np.arange(len(places) + 1.0), floor)
        return by_drops[np.searchsorted(places, t, side="right")]

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"multi step x {self.gamma:.3g} at {', '.join(map(span_text, self.milestones))}"


class InverseSqrt(BaseFamily):
    """``1 / sqrt(1 + t / timescale)``. With a time scale of W updates it is Noam's ``sqrt(W / u)``."""

    name: Literal["inverse_sqrt"] = "inverse_sqrt"
    timescale: Length = 0.1
    """The length after which the rate has fallen to ``1 / sqrt(2)`` of the peak."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return np.maximum(1.0 / np.sqrt(1.0 + t / in_updates(self.timescale, of=n)), floor)

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"inverse sqrt over {span_text(self.timescale)}"


class Power(BaseFamily):
    """``min(1, (t / onset)^-exponent)``: the peak until the onset, then a power law (Shen et al., arXiv 2408.13359)."""

    name: Literal["power"] = "power"
    onset: Length = 0.1
    """Where the law crosses the peak; past the end of the run, the rate is constant."""
    exponent: Annotated[Positive, Field(le=100)] = 0.51

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        past = np.maximum(t / in_updates(self.onset, of=n), 1.0)
        return np.maximum(past**-self.exponent, floor)

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"power {-self.exponent:.3g} from {span_text(self.onset)}"
