"""The families of schedules: the shape between the warm-up and the end of the run."""

from __future__ import annotations

from typing import Annotated, Final, get_args

from pydantic import Field

from tuner.schedules.families.base import BaseFamily
from tuner.schedules.families.classic_decays import Constant, Exponential, InverseSqrt, MultiStep, Power, Step
from tuner.schedules.families.cycles import Cyclic, OneCycle, Sgdr
from tuner.schedules.families.decay_to_zero import Cosine, Linear, Polynomial, Rex, Wsd
from tuner.schedules.families.piecewise import PiecewiseLinear, Segments
from tuner.schedules.families.reduce_on_plateau import ReduceOnPlateau

AnyFamily = (
    Constant
    | Linear
    | Cosine
    | Sgdr
    | Polynomial
    | Exponential
    | Step
    | MultiStep
    | InverseSqrt
    | OneCycle
    | Cyclic
    | Wsd
    | Rex
    | Power
    | PiecewiseLinear
    | Segments
    | ReduceOnPlateau
)
Family = Annotated[AnyFamily, Field(discriminator="name")]
"""Any family; as JSON, an object with the family's ``name``."""

FAMILIES: Final[dict[str, type[BaseFamily]]] = {
    family.model_fields["name"].default: family for family in get_args(AnyFamily)
}
"""Every family class by its name."""
