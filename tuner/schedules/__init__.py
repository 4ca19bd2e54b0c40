"""Learning-rate schedules as values: pure numerics, numpy and pydantic alone.

The step convention that every part of the project relies on is told by `Schedule` and in docs/schedules.md. The torch
adapter is `tuner.schedules.torch_adapter`; it is not imported here.
"""

from tuner.schedules.families import (
    FAMILIES,
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    Family,
    InverseSqrt,
    Knot,
    Linear,
    MultiStep,
    OneCycle,
    PiecewiseLinear,
    Polynomial,
    Power,
    Rex,
    Segment,
    Segments,
    Sgdr,
    Step,
    Wsd,
)
from tuner.schedules.lengths import Epochs, Updates
from tuner.schedules.reduce_on_plateau import ReduceOnPlateau, ReduceOnPlateauSettings
from tuner.schedules.schedule import MIN_WARMUP, Schedule
from tuner.schedules.warmup import Warmup

__all__ = [
    "FAMILIES",
    "MIN_WARMUP",
    "Constant",
    "Cosine",
    "Cyclic",
    "Epochs",
    "Exponential",
    "Family",
    "InverseSqrt",
    "Knot",
    "Linear",
    "MultiStep",
    "OneCycle",
    "PiecewiseLinear",
    "Polynomial",
    "Power",
    "ReduceOnPlateau",
    "ReduceOnPlateauSettings",
    "Rex",
    "Schedule",
    "Segment",
    "Segments",
    "Sgdr",
    "Step",
    "Updates",
    "Warmup",
    "Wsd",
]
