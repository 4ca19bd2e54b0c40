"""The settings of an LR range test, and the schedule that its runs train with."""

from __future__ import annotations

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tuner.errors import InvalidValue
from tuner.schedules import Constant, Schedule, Warmup

EVALUATIONS: Final = 50
"""Evaluations of each run of a range test, evenly spread: so many points has its picture."""
MIN_STEPS: Final = 20
"""Fewest updates of a range test: with fewer, neighboring points differ by too large a factor of the rate."""
DEFAULT_STEPS: Final = 200
_WIDER_BELOW: Final = 10.0
_WIDER_ABOVE: Final = 30.0
_NARROWEST: Final = 10.0


class RangeTestSettings(BaseModel):
    """An LR range test (Smith, arXiv 1506.01186): a short run whose rate rises exponentially, on several seeds.

    It bounds the peaks that are worth a search. It does not find the best one: that depends on the schedule, on its
    length and on the loss at its end, of which a short rise shows nothing.

    Example:
        >>> from tuner.search.range_test.settings import RangeTestSettings
        >>> test = RangeTestSettings(low=1e-5, high=1.0, steps=100)
        >>> rates = test.sweep.lrs(test.steps)
        >>> float(f"{rates[0]:.3g}"), float(f"{rates[-1]:.3g}")
        (1.12e-05, 1.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(
        default=DEFAULT_STEPS, ge=MIN_STEPS, le=1_000_000, description="Updates over which the rate rises."
    )
    low: float | None = Field(
        default=None,
        ge=1e-20,
        le=1e20,
        description="The rate at the start; a tenth of the search's lowest peak when absent.",
    )
    high: float | None = Field(
        default=None,
        ge=1e-20,
        le=1e20,
        description="The rate at the end, at least ten times the first; 30 times the search's highest peak when "
        "absent.",
    )
    seeds: int = Field(default=3, ge=1, le=10, description="Runs, each on its own seed; their median is read.")
    alone: bool = Field(
        default=False, description="Whether the job ends with the range test; otherwise it bounds the search's peaks."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low is not None and self.high is not None and self.high < self.low * _NARROWEST:
            raise InvalidValue("high", value=self.high, allowed=f"at least {_NARROWEST:g} times low ({self.low:g})")
        return self

    def completed(self, *, low: float, high: float) -> Self:
        """The settings with the rates that are absent.

        Args:
            low: Lowest peak of the search.
            high: Its highest.

        Raises:
            InvalidValue: The given rate is not below, or above, the one that follows from the search.
        """
        present = {
            "low": max(low / _WIDER_BELOW, 1e-20) if self.low is None else self.low,
            "high": min(high * _WIDER_ABOVE, 1e20) if self.high is None else self.high,
        }
        return type(self).model_validate({**self.model_dump(), **present})

    @property
    def updates(self) -> int:
        """Updates of all its runs."""
        return self.steps * self.seeds

    @property
    def sweep(self) -> Schedule:
        """The rate of update u is ``low (high / low)^((u + 1) / steps)``, held at ``high`` after the last.

        Raises:
            InvalidValue: A rate is absent: see `completed`.
        """
        if self.low is None or self.high is None:
            raise InvalidValue("range_test", value=None, allowed="with both rates, before it is trained")
        # A warm-up takes at most all updates but one: the last one is then at the peak by itself.
        rise = Warmup(shape="exponential", updates=self.steps - 1, start_factor=self._start_factor)
        return Schedule(peak_lr=self.high, family=Constant(), warmup=rise)

    @property
    def _start_factor(self) -> float:
        return (self.low or 0.0) / (self.high or 1.0)
