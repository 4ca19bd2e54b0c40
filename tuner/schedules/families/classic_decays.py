"""Decays whose formula does not depend on the end of the run; the floor bounds them from below."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tuner.errors import InvalidValue
from tuner.schedules.families.base import BaseFamily
from tuner.schedules.lengths import TOLERANCE, Length, in_updates, span_text, updates_within
from tuner.schedules.values import Array, Finite, Positive

Gamma = Annotated[Finite, Field(gt=0, lt=1)]
"""The factor of one drop."""


class Constant(BaseFamily):
    """The peak throughout; the floor has no effect.

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Constant, Schedule, Warmup
        >>> schedule = Schedule(peak_lr=1.0, family=Constant(), warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 1.0, 1.0]
    """

    name: Literal["constant"] = "constant"

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        return np.ones_like(t)


class Exponential(BaseFamily):
    """Exponential decay, ``exp(-rate p)`` or ``gamma^(t / every)``: smooth, not in steps (for steps see `Step`).

    Give ``rate`` alone, or ``gamma`` together with ``every``.

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Exponential, Schedule, Warmup
        >>> schedule = Schedule(peak_lr=1.0, family=Exponential(rate=4.0), warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.1353, 0.0191]
    """

    name: Literal["exponential"] = "exponential"
    rate: Annotated[Positive, Field(le=100)] | None = None
    """The rate at the end of the run is ``exp(-rate)`` of the peak."""
    gamma: Gamma | None = None
    every: Length | None = None
    """The length over which the rate falls by the factor ``gamma``."""

    @model_validator(mode="after")
    def _check_parameters(self) -> Self:
        present = {name for name in ("rate", "gamma", "every") if getattr(self, name) is not None}
        if present not in ({"rate"}, {"gamma", "every"}):
            raise InvalidValue(
                "family", value=", ".join(sorted(present)) or "neither", allowed="given rate alone, or gamma and every"
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
    """Step decay, ``gamma^floor(t / every)``.

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Schedule, Step, Warmup
        >>> family = Step(gamma=0.1, every=0.3)
        >>> schedule = Schedule(peak_lr=1.0, family=family, warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.1, 0.001]
    """

    name: Literal["step"] = "step"
    gamma: Gamma = 0.1
    every: Length = 0.3
    """Updates between drops."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        # A quotient rounded to just below an integer would delay the drop by one update.
        drops = np.floor(t / in_updates(self.every, of=n) + TOLERANCE)
        return np.maximum(self.gamma**drops, floor)

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"step x {self.gamma:.3g} every {span_text(self.every)}"


class MultiStep(BaseFamily):
    """``gamma^k`` after k milestones.

    The first update at or after a milestone is the first one with the lower rate.

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import MultiStep, Schedule, Warmup
        >>> family = MultiStep(gamma=0.1, milestones=(0.5, 0.75))
        >>> schedule = Schedule(peak_lr=1.0, family=family, warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.1, 0.01]
    """

    name: Literal["multi_step"] = "multi_step"
    gamma: Gamma = 0.1
    milestones: Annotated[tuple[Length, ...], Field(min_length=1, max_length=100)] = (0.5, 0.75)
    """Counted from the end of the warm-up, within the run. At equal milestones the drops multiply."""

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        milestones = np.sort([updates_within(each, of=n, field="family.milestones") for each in self.milestones])
        levels = np.maximum(self.gamma ** np.arange(len(milestones) + 1.0), floor)
        return levels[np.searchsorted(milestones, t, side="right")]

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"multi step x {self.gamma:.3g} at {', '.join(map(span_text, self.milestones))}"


class InverseSqrt(BaseFamily):
    """``1 / sqrt(1 + t / timescale)``.

    With a time scale of W updates it is the ``sqrt(W / u)`` of Vaswani et al. (arXiv 1706.03762), called Noam.

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import InverseSqrt, Schedule, Warmup
        >>> family = InverseSqrt(timescale=0.1)
        >>> schedule = Schedule(peak_lr=1.0, family=family, warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.4082, 0.3029]
    """

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
    """``min(1, (t / onset)^-exponent)``: the peak until the onset, then a power law (Shen et al., arXiv 2408.13359).

    Example:
        At updates 0, W - 1, W, the middle of the rest and T - 1, for W = 10 and T = 110:

        >>> from tuner.schedules import Power, Schedule, Warmup
        >>> schedule = Schedule(peak_lr=1.0, family=Power(onset=0.1), warmup=Warmup(shape="linear", updates=10))
        >>> [round(schedule.lr(u, total_steps=110), 4) for u in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.4401, 0.3106]
    """

    name: Literal["power"] = "power"
    onset: Length = 0.1
    """Where the power law crosses the peak; with an onset past the end of the run the rate is constant."""
    exponent: Annotated[Positive, Field(le=100)] = 0.51

    def factors(self, t: Array, *, n: int, floor: float) -> Array:
        """See `BaseFamily.factors`."""
        # The maximum also keeps t = 0 from the negative power, which is infinite there.
        past = np.maximum(t / in_updates(self.onset, of=n), 1.0)
        return np.maximum(past**-self.exponent, floor)

    @property
    def label(self) -> str:
        """See `BaseFamily.label`."""
        return f"power {-self.exponent:.3g} from {span_text(self.onset)}"
