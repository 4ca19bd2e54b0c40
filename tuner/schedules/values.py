"""Base types of all parts of a schedule: frozen values with finite numbers."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Array = NDArray[np.float64]


def _normalize_zero(value: float) -> float:
    return value + 0.0


Finite = Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(_normalize_zero)]
"""A finite number; text and booleans are refused. -0.0 becomes 0.0, so that equal values have equal JSON."""
Positive = Annotated[Finite, Field(gt=0)]
Factor = Annotated[Finite, Field(ge=0, le=1)]
"""A learning rate as a fraction of the peak."""


class Value(BaseModel):
    """A frozen, hashable value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
