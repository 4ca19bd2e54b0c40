"""The warm-up at the start of a run."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tuner.errors import InvalidValue
from tuner.schedules.lengths import MAX_LENGTH, Epochs, percent, span_text
from tuner.schedules.values import Array, Finite, NormalizedZero, ProperFraction, Value

WarmupShape = Literal["none", "linear", "cosine", "exponential", "constant"]
_LENGTHS: Final = ("fraction", "updates", "epochs")


class Warmup(Value):
    """The first W updates of a run, at the end of which the rate is the peak.

    With ``x = (u + 1) / W`` for the update u in [0, W) and the start factor s, the fraction of the peak is

    - linear: ``s + (1 - s) x``;
    - cosine: ``s + (1 - s) (1 - cos(pi x)) / 2``;
    - exponential: ``s^(1 - x)``;
    - constant: ``s``, then the peak from update W on.

    So the rate is never 0, and all shapes but ``constant`` reach the peak at update W - 1.

    Example:
        >>> from tuner import Schedule, Warmup
        >>> from tuner.schedules import Constant
        >>> warmup = Warmup(shape="linear", fraction=0.4)
        >>> warmup.length(10)
        4
        >>> Schedule(peak_lr=1.0, family=Constant(), warmup=warmup).lrs(10).round(2).tolist()
        [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """

    shape: WarmupShape = "none"
    fraction: ProperFraction | None = None
    """Fraction of the whole run: ``W = round(fraction * T)``, half to even, at least 1 unless the fraction is 0."""
    updates: int | None = Field(default=None, ge=0, strict=True)
    """W itself, in updates."""
    epochs: Annotated[Finite, Field(ge=0, le=MAX_LENGTH), NormalizedZero] | None = None
    """In epochs of ``updates_per_epoch`` updates: ``W = round(epochs * updates_per_epoch)``."""
    updates_per_epoch: int | None = Field(default=None, ge=1, le=int(MAX_LENGTH), strict=True)
    """For ``epochs`` alone, where it is required."""
    start_factor: ProperFraction = 0.0
    """s, the fraction of the peak that the warm-up starts from; above 0 for ``exponential`` and ``constant``."""

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        present = [name for name in (*_LENGTHS, "updates_per_epoch") if getattr(self, name) is not None]
        lengths = [name for name in present if name in _LENGTHS]
        if self.shape == "none":
            if present or self.start_factor:
                field = present[0] if present else "start_factor"
                raise InvalidValue(
                    f"warmup.{field}", value=getattr(self, field), allowed='absent when the shape is "none"'
                )
        elif len(lengths) != 1:
            raise InvalidValue(
                "warmup",
                value={name: getattr(self, name) for name in lengths},
                allowed=f"given one of {', '.join(_LENGTHS)}",
            )
        elif (self.epochs is None) != (self.updates_per_epoch is None):
            allowed = "given with epochs" if self.epochs is not None else "absent without epochs"
            raise InvalidValue("warmup.updates_per_epoch", value=self.updates_per_epoch, allowed=allowed)
        elif self.shape in ("exponential", "constant") and self.start_factor == 0:
            raise InvalidValue(
                "warmup.start_factor", value=self.start_factor, allowed=f"in (0, 1) when the shape is {self.shape!r}"
            )
        return self

    def length(self, total_steps: int) -> int:
        """W in a run of ``total_steps`` updates, in [0, total_steps).

        Raises:
            InvalidValue: The warm-up would leave no update after it.
        """
        if self.shape == "none":
            return 0
        updates = self._updates(total_steps)
        if updates >= total_steps:
            field = next(name for name in _LENGTHS if getattr(self, name) is not None)
            raise InvalidValue(
                f"warmup.{field}",
                value=getattr(self, field),
                allowed=f"less than the whole run of {total_steps} updates",
            )
        return updates

    def _updates(self, total_steps: int) -> int:
        if self.fraction is not None:
            return max(1, round(self.fraction * total_steps)) if self.fraction else 0
        if self.epochs is not None:
            return max(1, round(self.epochs * (self.updates_per_epoch or 1))) if self.epochs else 0
        return self.updates or 0

    def factors(self, steps: Array, *, length: int) -> Array:
        """Fractions of the peak at ``steps``, each in [0, length)."""
        # u + 1, since a warm-up from 0 would otherwise spend its first update at a rate of 0.
        x = (steps + 1.0) / max(length, 1)
        match self.shape:
            case "linear":
                share = x
            case "cosine":
                share = 0.5 - 0.5 * np.cos(np.pi * x)
            case "exponential":
                return self.start_factor ** (1.0 - x)
            case _:
                share = np.zeros_like(x)
        # Exactly 1 at share 1, which s + (1 - s) need not be: the last update is at the peak bit for bit.
        return self.start_factor * (1.0 - share) + share

    def compressed(self, to_steps: int, *, from_steps: int, min_warmup: int) -> Warmup:
        """The warm-up of the same run compressed; see `Schedule.compressed`."""
        before = self.length(from_steps)
        floor = min(before, min_warmup, to_steps // 2)
        after = min(max(round(before * to_steps / from_steps), floor), to_steps - 1)
        if after == 0:
            return Warmup()
        if self.fraction is not None and after == max(1, round(self.fraction * to_steps)):
            return self
        if self.fraction is None and after == self._updates(to_steps):
            return self
        lengths: dict[str, Any] = {"fraction": None, "epochs": None, "updates_per_epoch": None, "updates": after}
        return self.model_copy(update=lengths)

    @property
    def label(self) -> str:
        """As text: ``"warm-up 5 %"``, ``"cosine warm-up 3 epochs"``; empty when there is none."""
        if self.shape == "none":
            return ""
        kind = "" if self.shape == "linear" else f"{self.shape} "
        return f"{kind}warm-up {self._length_text}"

    @property
    def _length_text(self) -> str:
        if self.fraction is not None:
            return percent(self.fraction)
        if self.epochs is not None:
            return span_text(Epochs(epochs=self.epochs, updates_per_epoch=self.updates_per_epoch or 1))
        return f"{self.updates} updates"
