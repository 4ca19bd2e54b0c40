"""The search space of a study: a frozen, versioned value; its presets, and the usual ranges of the peak."""

from tuner.search.kinds import OptimizerKind, SpacePreset, TrainingKind
from tuner.search.space.family_space import FamilySpace
from tuner.search.space.parameters import Choice, FloatRange, IntRange, Parameter, Value
from tuner.search.space.peaks import MAX_PEAK, MIN_PEAK, peak_range
from tuner.search.space.presets import default_space, preset_families
from tuner.search.space.space import SearchSpace
from tuner.search.space.warmups import Ramp, Share, WarmupLength, WarmupShapeChoice, WarmupUpdates, warmup_of

__all__ = [
    "MAX_PEAK",
    "MIN_PEAK",
    "Choice",
    "FamilySpace",
    "FloatRange",
    "IntRange",
    "OptimizerKind",
    "Parameter",
    "Ramp",
    "SearchSpace",
    "Share",
    "SpacePreset",
    "TrainingKind",
    "Value",
    "WarmupLength",
    "WarmupShapeChoice",
    "WarmupUpdates",
    "default_space",
    "peak_range",
    "preset_families",
    "warmup_of",
]
