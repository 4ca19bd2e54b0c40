"""Learning-rate schedules as values: pure numerics, numpy and pydantic alone.

`Schedule` and docs/schedules.md state the step convention that every part of the project relies on. `ScheduleLR`, the
torch scheduler, is loaded on first use.
"""

from typing import TYPE_CHECKING, Any, Final

from tuner.schedules.families import FAMILIES, Family
from tuner.schedules.families.classic_decays import Constant, Exponential, InverseSqrt, MultiStep, Power, Step
from tuner.schedules.families.cycles import Cyclic, OneCycle, Sgdr
from tuner.schedules.families.decay_to_zero import Cosine, Linear, Polynomial, Rex, Wsd
from tuner.schedules.families.piecewise import Knot, PiecewiseLinear, Segment, Segments
from tuner.schedules.families.reduce_on_plateau import ReduceOnPlateau
from tuner.schedules.lengths import Epochs, Updates
from tuner.schedules.scaling import ScaledSchedule, ScalingRule, scaled_to_batch
from tuner.schedules.schedule import MIN_WARMUP, Schedule
from tuner.schedules.warmup import Warmup

if TYPE_CHECKING:
    from tuner.schedules.torch_adapter import GroupRates, ScheduleLR

__all__ = [
    "FAMILIES",
    "MIN_WARMUP",
    "Constant",
    "Cosine",
    "Cyclic",
    "Epochs",
    "Exponential",
    "Family",
    "GroupRates",
    "InverseSqrt",
    "Knot",
    "Linear",
    "MultiStep",
    "OneCycle",
    "PiecewiseLinear",
    "Polynomial",
    "Power",
    "ReduceOnPlateau",
    "Rex",
    "ScaledSchedule",
    "ScalingRule",
    "Schedule",
    "ScheduleLR",
    "Segment",
    "Segments",
    "Sgdr",
    "Step",
    "Updates",
    "Warmup",
    "Wsd",
    "scaled_to_batch",
]

_OF_TORCH: Final = ("GroupRates", "ScheduleLR")

if not TYPE_CHECKING:  # else type checkers would accept every name

    def __getattr__(name: str) -> Any:
        if name not in _OF_TORCH:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from tuner.extras import explained

        with explained(user=f"{__name__}.{name}"):
            from tuner.schedules import torch_adapter

        return getattr(torch_adapter, name)
