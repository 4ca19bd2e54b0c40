"""Where a study searches: a frozen, versioned value that the study keeps for its whole life."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tuner.errors import InvalidValue

Value = float | int | str
"""What one parameter of the space takes."""


class OptimizerKind(StrEnum):
    """Optimizers whose peak learning rates lie in different ranges."""

    SGD = "sgd"
    """Stochastic gradient descent, with or without momentum."""
    ADAM = "adam"
    """Adam, AdamW and their kin."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FloatRange(_Frozen):
    """Real numbers from ``low`` to ``high``, both included."""

    kind: Literal["float"] = "float"
    low: float
    high: float
    log: bool = Field(default=False, description="Spread evenly over orders of magnitude; then low must be above 0.")

    @model_validator(mode="after")
    def _check(self) -> FloatRange:
        _check_range(self.low, high=self.high, log=self.log)
        return self

    @property
    def corners(self) -> tuple[Value, ...]:
        """The values to check a range by."""
        return (self.low, self.high)

    def holds(self, value: object) -> bool:
        """Whether ``value`` lies in the range."""
        return _is_number(value) and self.low <= float(value) <= self.high  # type: ignore[arg-type]


class IntRange(_Frozen):
    """Whole numbers from ``low`` to ``high``, both included."""

    kind: Literal["int"] = "int"
    low: int
    high: int
    log: bool = Field(default=False, description="Spread evenly over orders of magnitude; then low must be above 0.")

    @model_validator(mode="after")
    def _check(self) -> IntRange:
        _check_range(self.low, high=self.high, log=self.log)
        return self

    @property
    def corners(self) -> tuple[Value, ...]:
        """The values to check a range by."""
        return (self.low, self.high)

    def holds(self, value: object) -> bool:
        """Whether ``value`` is whole and lies in the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


class Choice(_Frozen):
    """One of a few values."""

    kind: Literal["choice"] = "choice"
    values: tuple[float | int | str, ...] = Field(min_length=1, max_length=32)

    @model_validator(mode="after")
    def _check(self) -> Choice:
        if len(set(self.values)) < len(self.values):
            raise InvalidValue("values", value=self.values, allowed="different from one another")
        return self

    @property
    def corners(self) -> tuple[Value, ...]:
        """The values to check a choice by: all."""
        return self.values

    def holds(self, value: object) -> bool:
        """Whether ``value`` is one of the choices."""
        return value in self.values


Parameter = Annotated[FloatRange | IntRange | Choice, Field(discriminator="kind")]
"""What a parameter may be."""


class FamilySpace(_Frozen):
    """A schedule family to search, with those of its parameters that vary; the others keep the family's defaults."""

    name: str = Field(description="Name of a schedule family.")
    params: Mapping[str, Parameter] = Field(default_factory=dict, max_length=6)


class SearchSpace(_Frozen):
    """Peak learning rates, warm-ups, floors and schedule families to search."""

    version: Literal[1] = 1
    peak_lr: FloatRange = Field(description="Range of the peak learning rate; searched on a log scale.")
    warmup: tuple[float, ...] = Field(
        min_length=1, max_length=16, description="Lengths of a linear warm-up, as fractions of the run; 0 means none."
    )
    floor: tuple[float, ...] = Field(
        min_length=1, max_length=16, description="Where a decay ends, as fractions of the peak."
    )
    families: tuple[FamilySpace, ...] = Field(min_length=1, max_length=32)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_range(low: float, *, high: float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise InvalidValue("high", value=high, allowed=f"a finite number, at least the low end ({low})")
    if log and low <= 0:
        raise InvalidValue("low", value=low, allowed="above 0 on a log scale")


def default_space(optimizer: OptimizerKind, *, peak_lr: tuple[float, float] | None = None) -> SearchSpace:
    """The space to search when the user gives none.

    Args:
        optimizer: What the workload trains with.
        peak_lr: Lowest and highest peak learning rate; the usual range of the optimizer when absent.

    Returns:
        Few dimensions and strong families.
    """
    low, high = peak_lr or _PEAK_LR[optimizer]
    return SearchSpace(
        peak_lr=FloatRange(low=low, high=high, log=True),
        warmup=(0.01, 0.02, 0.05, 0.1),
        floor=(0.0, 0.01, 0.1),
        families=(
            FamilySpace(name="constant"),
            FamilySpace(name="linear"),
            FamilySpace(name="cosine"),
            FamilySpace(
                name="wsd",
                params={
                    "cooldown": FloatRange(low=0.1, high=1.0),
                    "shape": Choice(values=("linear", "1-sqrt")),
                },
            ),
            FamilySpace(name="rex"),
        ),
    )


_PEAK_LR = {OptimizerKind.ADAM: (1e-4, 3e-2), OptimizerKind.SGD: (1e-3, 1.0)}
