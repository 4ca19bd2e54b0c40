"""Wire types of schedules: what ``/v1/schedules`` accepts and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tuner.errors import InvalidValue
from tuner.exports import EXPORTERS, ExportFormat
from tuner.importers import MAX_TEXT, ScheduleSource, SteppedPer
from tuner.schedules import MIN_WARMUP, Schedule
from tuner.schedules.lengths import MAX_STEPS
from tuner.schedules.scaling import MAX_BATCH, ScaledFor, ScalingRule

MAX_IMPORTED: Final = 10_000_000
"""Longest run of a schedule that is read from another library's text, in updates."""
FORMATS: Final = "; ".join(f"`{name}`: {exporter.description}" for name, exporter in EXPORTERS.items())
"""Description of each format."""


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: Schedule = Field(description="The schedule, as a report or an export contains it.")


class LossPoint(BaseModel):
    """An evaluation of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    step: int = Field(ge=0, le=MAX_STEPS, description="Updates done.")
    loss: float = Field(description="The loss there, lower is better; of a metric that is maximized its negative.")


class PreviewRequest(_Request):
    """A schedule and the length of a run."""

    total_steps: int = Field(ge=1, le=MAX_STEPS, description="Optimizer updates of the run.")
    points: int = Field(default=200, ge=2, le=2_000, description="Maximum number of points, evenly spaced.")
    losses: tuple[LossPoint, ...] = Field(
        default=(),
        max_length=10_000,
        description="Evaluations of a run by ascending updates, for a schedule that follows them "
        "(`reduce_on_plateau`); without them it is previewed as if every evaluation improved.",
    )

    @model_validator(mode="after")
    def _check_losses(self) -> Self:
        if self.losses and not self.schedule.follows_loss:
            allowed = f"absent: the rates of {self.schedule.family.name} follow no loss"
            raise InvalidValue("losses", value=f"{len(self.losses)} evaluations", allowed=allowed)
        return self


class ExportRequest(_Request):
    """A schedule, the run to export it for, and the format."""

    total_steps: int = Field(ge=1, le=MAX_STEPS, description="Optimizer updates of the run.")
    format: ExportFormat = Field(default=ExportFormat.JSON, description=FORMATS)
    batch_size: int | None = Field(
        default=None, ge=1, le=MAX_BATCH, description="Samples of one update; the export states it."
    )
    optimizer: str = Field(default="", max_length=64, description="The optimizer; the export states it.")


class CompressRequest(_Request):
    """A schedule, the length of the run that it was made for, and the length of the new run."""

    from_steps: int = Field(ge=1, le=MAX_STEPS, description="Updates of the old run.")
    to_steps: int = Field(ge=1, le=MAX_STEPS, description="Updates of the new run.")
    min_warmup: int = Field(
        default=MIN_WARMUP,
        ge=0,
        le=MAX_STEPS,
        description="Minimum updates of the warm-up, if the old one had as many; at most half of the new run.",
    )


class ScaleRequest(_Request):
    """A schedule, its batch size, and the new batch size."""

    rule: ScalingRule = Field(
        description="`sqrt`: the peak times the square root of the ratio, for Adam and its variants; `linear`: times "
        "the ratio, for SGD."
    )
    from_batch: int = Field(
        ge=1, le=MAX_BATCH, description="Samples of one update in the old run, over all devices and micro-batches."
    )
    to_batch: int = Field(ge=1, le=MAX_BATCH, description="Samples of one update in the new run.")
    optimizer: ScaledFor | None = Field(default=None, description="The optimizer; some caveats depend on it.")


class ImportRequest(BaseModel):
    """What a script has, and the length of its run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    text: str = Field(
        max_length=MAX_TEXT,
        description="JSON or YAML: `TrainingArguments` of Hugging Face, the `state_dict()` of a scheduler of PyTorch, "
        "the `args.yaml` of timm, or a file of axolotl.",
    )
    kind: ScheduleSource | None = Field(default=None, description="What the text is; found out when absent.")
    total_steps: int | None = Field(
        default=None, ge=1, le=MAX_IMPORTED, description="Updates of the run; that of the text when absent."
    )
    steps_per_epoch: int | None = Field(
        default=None, ge=1, le=MAX_IMPORTED, description="Updates in one epoch, where the text counts epochs."
    )
    stepped_per: SteppedPer = Field(
        default=SteppedPer.UPDATE, description="How often a scheduler of PyTorch is stepped."
    )
    peak_lr: float | None = Field(default=None, gt=0, description="The rate, where the text does not hold it.")


@dataclass(frozen=True, kw_only=True)
class PreviewPoint:
    """The learning rate at one update."""

    update: int
    lr: float


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The learning rates of a schedule over a run."""

    label: str
    """The schedule in words."""
    digest: str
    """SHA-256 of its canonical JSON: equal schedules have equal digests."""
    total_steps: int
    points: tuple[PreviewPoint, ...]
    """By update, including the first and the last update."""
