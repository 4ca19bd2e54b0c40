"""Base types of all parts of a schedule: frozen values with finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Array = NDArray[np.float64]
Losses = Sequence[tuple[int, float]]
"""Evaluations of a run: the updates done, ascending, and the loss there, lower is better."""


def _normalize_zero(value: float) -> float:
    return value + 0.0


Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite number; text and booleans are refused."""
NormalizedZero = AfterValidator(_normalize_zero)
"""Turns -0.0 into 0.0, so that equal values have equal JSON. It stands after the bounds: JSON schema shows no bounds
that follow a validator."""
Positive = Annotated[Finite, Field(gt=0)]
ProperFraction = Annotated[Finite, Field(ge=0, lt=1), NormalizedZero]
Factor = Annotated[Finite, Field(ge=0, le=1), NormalizedZero]
"""A learning rate as a fraction of the peak."""


class Value(BaseModel):
    """A frozen, hashable value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
