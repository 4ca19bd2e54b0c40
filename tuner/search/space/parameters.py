"""The values of a parameter of a search: a range, or a choice."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tuner.errors import InvalidValue

Value = bool | float | int | str
"""A value of one parameter."""
_MAX_WHOLE: Final = 2**53
"""Larger whole numbers are not exact as floats, in which grids are computed."""
_MAX_REAL: Final = 1e100


class Frozen(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Range(Frozen):
    kind: str
    low: float
    high: float
    log: bool = Field(default=False, description="Spread evenly over orders of magnitude; then low must be above 0.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for field, value in (("low", self.low), ("high", self.high)):
            _check_magnitude(value, field=field)
        if not self.low <= self.high:
            allowed = f"a finite number, at least the low end ({self.low})"
            raise InvalidValue("high", value=self.high, allowed=allowed)
        if self.log and self.low <= 0:
            raise InvalidValue("low", value=self.low, allowed="above 0 on a log scale")
        return self

    @property
    def corners(self) -> tuple[Value, ...]:
        """Both ends."""
        return (self.low, self.high)

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Both ends, once each."""
        return tuple(dict.fromkeys(self.corners))


class FloatRange(_Range):
    """Real numbers from ``low`` to ``high``, both included."""

    kind: Literal["float"] = "float"

    def contains(self, value: object) -> bool:
        """Whether ``value`` lies in the range."""
        return is_number(value) and self.low <= float(value) <= self.high  # type: ignore[arg-type]


class IntRange(_Range):
    """Whole numbers from ``low`` to ``high``, both included."""

    kind: Literal["int"] = "int"
    low: int
    high: int

    def contains(self, value: object) -> bool:
        """Whether ``value`` is whole and lies in the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


class Choice(Frozen):
    """One of several values."""

    kind: Literal["choice"] = "choice"
    values: tuple[bool | float | int | str, ...] = Field(min_length=1, max_length=32)

    @model_validator(mode="after")
    def _check(self) -> Choice:
        if len(set(self.values)) < len(self.values):
            raise InvalidValue("values", value=self.values, allowed="different from one another")
        for place, value in enumerate(self.values):
            _check_magnitude(value, field=f"values.{place}")
        return self

    @property
    def corners(self) -> tuple[Value, ...]:
        """All values."""
        return self.values

    @property
    def extremes(self) -> tuple[Value, ...]:
        """The least and the largest of numbers, in which a schedule changes steadily; else all values."""
        numbers = [value for value in self.values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(numbers) < len(self.values):
            return self.values
        return tuple(dict.fromkeys((min(numbers), max(numbers))))

    def contains(self, value: object) -> bool:
        """Whether ``value`` is one of the choices."""
        return value in self.values


Parameter = Annotated[FloatRange | IntRange | Choice, Field(discriminator="kind")]
"""A parameter of the space."""


def is_number(value: object) -> bool:
    """Whether a value is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_magnitude(value: Value, *, field: str) -> None:
    if isinstance(value, str):
        return
    limit = _MAX_WHOLE if isinstance(value, int) else _MAX_REAL
    if not -limit <= value <= limit:
        raise InvalidValue(field, value=str(value), allowed=f"in [-{limit:.16g}, {limit:.16g}]")
