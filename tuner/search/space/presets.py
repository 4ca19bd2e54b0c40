"""Spaces by name: what to search where a request does not say it itself. docs/search.md gives the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tuner.schedules import FAMILIES
from tuner.search.kinds import OptimizerKind, SpacePreset, TrainingKind
from tuner.search.space.family_space import FamilySpace
from tuner.search.space.parameters import Choice, FloatRange, IntRange
from tuner.search.space.peaks import peak_range
from tuner.search.space.space import SearchSpace
from tuner.search.space.warmups import WarmupShapeChoice
from tuner.validation import choice


@dataclass(frozen=True, kw_only=True)
class _Preset:
    families: tuple[FamilySpace, ...]
    warmup: tuple[float, ...]
    floor: tuple[float, ...]
    shapes: tuple[WarmupShapeChoice, ...] = ("linear",)
    training: TrainingKind | None = None
    """The kind of training that it is for; any where absent."""


def _cooldown(low: float, high: float) -> FamilySpace:
    shape = Choice(values=("linear", "1-sqrt"))
    return FamilySpace(name="wsd", params={"cooldown": FloatRange(low=low, high=high), "shape": shape})


_DECAYS: Final = (FamilySpace(name="constant"), FamilySpace(name="linear"), FamilySpace(name="cosine"))
_POLYNOMIAL: Final = FamilySpace(name="polynomial", params={"power": FloatRange(low=0.5, high=3.0)})
_USUAL: Final = (
    *_DECAYS,
    _cooldown(0.1, 1.0),
    _POLYNOMIAL,
    FamilySpace(name="exponential", params={"rate": FloatRange(low=2.0, high=8.0)}),
    FamilySpace(name="rex"),
)
_POWER_COOLDOWN: Final = FamilySpace(
    name="wsd",
    alias="wsd_power",
    fixed={"shape": "polynomial"},
    params={"cooldown": FloatRange(low=0.1, high=0.9), "power": FloatRange(low=0.5, high=3.0)},
)
_INVERSE_SQRT: Final = FamilySpace(name="inverse_sqrt", params={"timescale": FloatRange(low=0.01, high=0.5, log=True)})
_POWER: Final = FamilySpace(
    name="power",
    params={"onset": FloatRange(low=0.02, high=0.5, log=True), "exponent": FloatRange(low=0.3, high=1.0)},
)
_DROPS: Final = Choice(values=(0.1, 0.2, 0.5))
_WIDE: Final = (
    *_USUAL,
    _POWER_COOLDOWN,
    FamilySpace(name="step", params={"every": FloatRange(low=0.15, high=0.6), "gamma": _DROPS}),
    FamilySpace(
        name="multi_step",
        params={
            "milestones.0": FloatRange(low=0.3, high=0.6),
            "milestones.1": FloatRange(low=0.65, high=0.95),
            "gamma": _DROPS,
        },
    ),
    FamilySpace(name="sgdr", params={"cycles": IntRange(low=2, high=5), "multiplier": Choice(values=(1.0, 1.5, 2.0))}),
    FamilySpace(
        name="cyclic", params={"cycles": IntRange(low=1, high=8), "mode": Choice(values=("triangular", "triangular2"))}
    ),
    FamilySpace(name="one_cycle", params={"rise": FloatRange(low=0.1, high=0.5)}),
    _INVERSE_SQRT,
    _POWER,
    FamilySpace(name="reduce_on_plateau", params={"factor": _DROPS, "patience": IntRange(low=1, high=4)}),
)
_PRESETS: Final[Mapping[SpacePreset, _Preset]] = {
    SpacePreset.USUAL: _Preset(families=_USUAL, warmup=(0.0, 0.01, 0.02, 0.05, 0.1), floor=(0.0, 0.01, 0.1)),
    SpacePreset.WIDE: _Preset(
        families=_WIDE,
        warmup=(0.0, 0.01, 0.02, 0.05, 0.1, 0.2),
        floor=(0.0, 0.01, 0.1),
        shapes=("linear", "cosine"),
    ),
    SpacePreset.FINETUNE: _Preset(
        families=(*_DECAYS, _POLYNOMIAL, _cooldown(0.2, 1.0)),
        warmup=(0.0, 0.03, 0.06, 0.1, 0.2),
        floor=(0.0, 0.1),
        training=TrainingKind.FINETUNE,
    ),
    SpacePreset.PRETRAIN: _Preset(
        families=(*_DECAYS[1:], _cooldown(0.05, 1.0), _POWER_COOLDOWN, _INVERSE_SQRT, _POWER),
        warmup=(0.005, 0.01, 0.02, 0.05),
        floor=(0.0, 0.01, 0.1),
        training=TrainingKind.PRETRAIN,
    ),
}


def preset_families(preset: SpacePreset) -> tuple[FamilySpace, ...]:
    """The families of a preset, with what it fixes and varies of each."""
    return _PRESETS[preset].families


def default_space(
    optimizer: OptimizerKind | str,
    *,
    preset: SpacePreset | str = SpacePreset.USUAL,
    training: TrainingKind | str | None = None,
    peak_lr: tuple[float, float] | None = None,
    around: float | None = None,
    follows_loss: bool = True,
) -> SearchSpace:
    """The space of a search that does not define one.

    Args:
        optimizer: Of the workload.
        preset: Which families, warm-ups and floors.
        training: The kind of training, for the range of peaks; the preset's when absent, else from scratch.
        peak_lr: Lowest and highest peak learning rate, both above 0; the usual range of the optimizer and the kind of
            training when absent.
        around: The peak that is used today; it becomes the middle of the range.
        follows_loss: Whether the families that follow the loss may be among those of the preset.

    Raises:
        InvalidValue: ``peak_lr`` is not a range above 0, or a name is unknown.

    Example:
        >>> from tuner import default_space
        >>> peaks = default_space("adam", preset="finetune").peak_lr
        >>> (peaks.low * peaks.high) ** 0.5
        2e-05
    """
    chosen = _PRESETS[choice("preset", preset, of=SpacePreset)]
    kind = training or chosen.training or TrainingKind.SCRATCH
    low, high = peak_range(optimizer, training=kind, bounds=peak_lr, around=around)
    return SearchSpace(
        peak_lr=FloatRange(low=low, high=high, log=True),
        warmup=chosen.warmup,
        warmup_shape=chosen.shapes,
        floor=chosen.floor,
        families=tuple(one for one in chosen.families if follows_loss or not FAMILIES[one.name].follows_loss),
    )
