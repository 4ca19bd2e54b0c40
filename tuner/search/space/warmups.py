"""The warm-ups of a space: their lengths and their shapes, and the values that name them in a point of the space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag

from tuner.schedules import Epochs, Warmup
from tuner.schedules.lengths import span_text
from tuner.search.space.parameters import Frozen, Value

Share = Annotated[float, Field(ge=0, lt=1)]
RampShape = Literal["linear", "cosine", "exponential", "constant"]
_STARTS: Final[Mapping[RampShape, float]] = {"linear": 0.0, "cosine": 0.0, "exponential": 0.01, "constant": 0.1}
"""Start factors: an exponential rise cannot start at 0, and a constant warm-up is below the peak."""


class WarmupUpdates(Frozen):
    """A warm-up in updates."""

    updates: int = Field(ge=1, description="Its updates.")


def _tag(value: Any) -> str:
    match value:
        case Epochs() | {"epochs": _}:
            return "epochs"
        case WarmupUpdates() | Mapping():
            return "updates"
        case _:
            return "fraction"


WarmupLength = Annotated[
    Annotated[Share, Tag("fraction")] | Annotated[WarmupUpdates, Tag("updates")] | Annotated[Epochs, Tag("epochs")],
    Discriminator(_tag),
]
"""Length of a warm-up: a fraction of the run, updates, or epochs."""


class Ramp(Frozen):
    """A shape of the warm-up, with the fraction of the peak that it starts from."""

    shape: RampShape = Field(description="As in `Warmup`.")
    start_factor: Share = Field(description="The fraction of the peak that it starts from.")


WarmupShapeChoice = RampShape | Ramp
"""A shape alone starts at the peak times 0 (linear, cosine), 0.01 (exponential) or 0.1 (constant)."""


def length_value(length: float | WarmupUpdates | Epochs) -> Value:
    """The value of a length in a point of the space: ``0.05``, ``"500 updates"``, ``"3 epochs"``."""
    match length:
        case WarmupUpdates(updates=updates):
            return f"{updates} updates"
        case Epochs():
            return span_text(length)
        case _:
            return length


def shape_value(shape: WarmupShapeChoice) -> str:
    """The value of a shape in a point of the space: ``"cosine"``, ``"linear from 0.001"``."""
    if isinstance(shape, Ramp):
        plain = shape.start_factor == _STARTS[shape.shape]
        return shape.shape if plain else f"{shape.shape} from {shape.start_factor:g}"
    return shape


def warmup_of(length: float | WarmupUpdates | Epochs, *, shape: WarmupShapeChoice) -> Warmup:
    """The warm-up of a length and a shape; none where the length is 0.

    Raises:
        pydantic.ValidationError: There is no such warm-up.
    """
    if not length:
        return Warmup()
    ramp = shape if isinstance(shape, Ramp) else Ramp(shape=shape, start_factor=_STARTS[shape])
    lengths = length.model_dump() if isinstance(length, WarmupUpdates | Epochs) else {"fraction": length}
    return Warmup.model_validate({**ramp.model_dump(), **lengths})
