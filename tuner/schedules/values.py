"""What every part of a schedule has in common: it is a frozen value, and its numbers are finite."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Array = NDArray[np.float64]


def _without_sign_of_zero(value: float) -> float:
    return value + 0.0


Finite = Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(_without_sign_of_zero)]
"""A number as given: no text, no truth value, no NaN, no infinity. -0.0 becomes 0.0: equal values have equal JSON."""
Positive = Annotated[Finite, Field(gt=0)]
Factor = Annotated[Finite, Field(ge=0, le=1)]
"""A learning rate as a fraction of the peak."""


class Value(BaseModel):
    """A frozen, hashable value that refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
