"""The space of a search as requests write it: what is left out is that of a preset. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tuner.jobs.admission.strict_json import RefusedPayload, refusals
from tuner.jobs.records import WorkloadInfo
from tuner.search.space import (
    FamilySpace,
    OptimizerKind,
    Parameter,
    SearchSpace,
    Share,
    SpacePreset,
    TrainingKind,
    WarmupLength,
    WarmupShapeChoice,
    default_space,
    preset_families,
)

_DEFAULT: Final = "that of the preset when absent."


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PeakRequest(_Request):
    """The range of the peak learning rate; an absent end, and an absent ``log``, are those of the preset."""

    kind: Literal["float"] = "float"
    low: float | None = Field(default=None, gt=0, description=f"Lowest peak, above 0; {_DEFAULT}")
    high: float | None = Field(default=None, gt=0, description=f"Highest peak; {_DEFAULT}")
    log: bool | None = Field(default=None, description=f"Spread evenly over orders of magnitude; {_DEFAULT}")


class FamilyRequest(FamilySpace):
    """A schedule family to search."""

    # Wider than the parent's: what is absent is the preset's.
    params: Mapping[str, Parameter] | None = Field(  # type: ignore[assignment]
        default=None,
        max_length=8,
        description="The varied parameters; a dotted name leads into a length, a list or a segment: `period.epochs`, "
        "`milestones.0`, `segments.1.length`. The others have the family's defaults. When absent, those that the "
        "preset, or else `wide`, fixes and varies; `{}` varies none.",
    )


class SpaceRequest(_Request):
    """Peak learning rates, warm-ups, floors and schedule families to search; absent ones are those of the preset."""

    version: Literal[1] = 1
    preset: SpacePreset = Field(
        default=SpacePreset.USUAL, description="The space that absent fields are taken from (docs/search.md)."
    )
    training: TrainingKind | None = Field(
        default=None,
        description="The kind of training, for the range of peaks: that of the workload when absent, else the "
        "preset's. In place of a range that the workload declares.",
    )
    peak_lr: PeakRequest | None = Field(default=None, description=f"Range of the peak learning rate; {_DEFAULT}")
    warmup: tuple[WarmupLength, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        description='Lengths of the warm-up: fractions of the run (0 for none), `{"updates": 500}` or '
        f'`{{"epochs": 3, "updates_per_epoch": 391}}`; {_DEFAULT}',
    )
    warmup_shape: tuple[WarmupShapeChoice, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=8,
        description="Shapes of the warm-up: linear, cosine, exponential or constant, or one with the fraction of the "
        f'peak that it starts from, `{{"shape": "exponential", "start_factor": 0.001}}`; {_DEFAULT}',
    )
    floor: tuple[Share, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        description=f"Where a decay ends, as fractions of the peak; {_DEFAULT}",
    )
    families: tuple[FamilyRequest, ...] | None = Field(
        default=None, min_length=1, max_length=32, description=f"Schedule families; {_DEFAULT}"
    )

    def default(self, info: WorkloadInfo, *, optimizer: OptimizerKind, around: float | None) -> SearchSpace:
        """The space that absent fields are taken from.

        Args:
            info: The workload.
            optimizer: Its optimizer, as the options choose it.
            around: The peak that is used today.
        """
        return default_space(
            optimizer,
            preset=self.preset,
            training=self.training or (None if info.training is TrainingKind.SCRATCH else info.training),
            peak_lr=None if self.training is not None else info.peak_lr.get(optimizer.value),
            around=around,
            follows_loss=not info.needs_lrs,
        )

    def completed(self, default: SearchSpace) -> dict[str, Any]:
        """The space as plain values, unchecked.

        Args:
            default: The space that absent fields are taken from.
        """
        space = default.model_dump()
        if self.peak_lr is not None:
            space["peak_lr"] |= self.peak_lr.model_dump(exclude_none=True)
        named = {name: getattr(self, name) for name in ("warmup", "warmup_shape", "floor")}
        space |= {name: value for name, value in named.items() if value is not None}
        if self.families is not None:
            space["families"] = tuple(_completed_family(one, default=default) for one in self.families)
        return space


def _completed_family(request: FamilyRequest, *, default: SearchSpace) -> FamilySpace:
    known = (*default.families, *preset_families(SpacePreset.WIDE))
    usual = next((one for one in known if one.key == (request.alias or request.name)), None)
    if request.params is not None or request.fixed or usual is None or usual.name != request.name:
        return FamilySpace(name=request.name, alias=request.alias, fixed=request.fixed, params=request.params or {})
    return usual


def complete_space(
    request: SpaceRequest, *, default: SearchSpace, path: tuple[str, ...], model: type[BaseModel]
) -> SearchSpace:
    """The space of a request.

    Args:
        request: What it names.
        default: The space that absent fields are taken from.
        path: Where the space stands in the request.
        model: The request's, for the words of a refusal.

    Raises:
        InvalidValue: What it names is no space.
    """
    try:
        return SearchSpace.model_validate(request.completed(default))
    except ValidationError as error:
        errors = [{**one, "loc": (*path, *one["loc"])} for one in error.errors()]
        raise RefusedPayload(refusals(errors, model=model)[0]) from None
