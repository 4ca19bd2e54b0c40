"""What the routes of schedules take and give, beyond the library's own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from tuner.exports import EXPORTERS, ExportFormat
from tuner.schedules import MIN_WARMUP, Schedule
from tuner.schedules.scaling import MAX_BATCH, ScaledFor, ScalingRule

MAX_STEPS: Final = 10_000_000
"""Longest run that the API draws or writes update by update."""
MAX_HORIZON: Final = 100_000_000
"""Longest run that a schedule is fitted to, as for a job."""

_WSD: Final[dict[str, Any]] = {
    "version": 1,
    "peak_lr": 0.01,
    "family": {"name": "wsd", "cooldown": 0.4, "shape": "1-sqrt"},
    "warmup": {"shape": "linear", "fraction": 0.05},
}
_COSINE: Final[dict[str, Any]] = {"peak_lr": 0.001, "family": {"name": "cosine"}}

PREVIEW_EXAMPLES: dict[str, Any] = {
    "wsd": {
        "summary": "Warm up, hold, cool down over the last 40 %",
        "value": {"schedule": _WSD, "total_steps": 1000, "points": 50},
    },
    "cosine": {"summary": "Cosine to zero", "value": {"schedule": _COSINE, "total_steps": 500}},
}
EXPORT_EXAMPLES: dict[str, Any] = {
    "csv": {
        "summary": "The rate of every update of a run of 1,000",
        "value": {"schedule": _WSD, "total_steps": 1000, "format": "csv"},
    },
    "torch": {
        "summary": "Code for a training script of PyTorch",
        "value": {"schedule": _COSINE, "total_steps": 500, "format": "torch", "batch_size": 256, "optimizer": "AdamW"},
    },
}
COMPRESS_EXAMPLES: dict[str, Any] = {
    "shorter": {
        "summary": "The same schedule for a third of the updates",
        "value": {"schedule": _WSD, "from_steps": 3000, "to_steps": 1000},
    }
}
SCALE_EXAMPLES: dict[str, Any] = {
    "adam": {
        "summary": "Four times the batch with Adam",
        "value": {"schedule": _COSINE, "rule": "sqrt", "from_batch": 256, "to_batch": 1024, "optimizer": "adam"},
    },
    "sgd": {
        "summary": "Half the batch with SGD",
        "value": {"schedule": _WSD, "rule": "linear", "from_batch": 256, "to_batch": 128, "optimizer": "sgd"},
    },
}


FORMATS: Final = "; ".join(f"`{name}`: {exporter.description}" for name, exporter in EXPORTERS.items())
"""What each format is, for descriptions."""


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: Schedule = Field(description="The schedule, as a report or an export gives it.")


class PreviewRequest(_Request):
    """A schedule and the length of the run to see it on."""

    total_steps: int = Field(ge=1, le=MAX_STEPS, description="Optimizer updates of the run.")
    points: int = Field(default=200, ge=2, le=2_000, description="At most so many points, evenly spread.")


class ExportRequest(_Request):
    """A schedule, the run to write it for, and how."""

    total_steps: int = Field(ge=1, le=MAX_STEPS, description="Optimizer updates of the run.")
    format: ExportFormat = Field(default=ExportFormat.JSON, description=FORMATS)
    batch_size: int | None = Field(
        default=None, ge=1, le=MAX_BATCH, description="Samples of one update, for the export to state."
    )
    optimizer: str = Field(default="", max_length=64, description="What trains, for the export to state.")


class CompressRequest(_Request):
    """A schedule, the run that it was made for, and the run that it is wanted for."""

    from_steps: int = Field(ge=1, le=MAX_HORIZON, description="Updates of the run that it was made for.")
    to_steps: int = Field(ge=1, le=MAX_HORIZON, description="Updates of the run that it is wanted for.")
    min_warmup: int = Field(
        default=MIN_WARMUP,
        ge=0,
        le=MAX_HORIZON,
        description="Updates that the warm-up keeps where it had them, up to half of the new run.",
    )


class ScaleRequest(_Request):
    """A schedule, the batch size that it suits, and the one that it is wanted for."""

    rule: ScalingRule = Field(
        description="`sqrt`: the peak times the square root of the ratio, for Adam and its variants; `linear`: times "
        "the ratio, for SGD."
    )
    from_batch: int = Field(
        ge=1, le=MAX_BATCH, description="Samples of one update so far, over all devices and micro-batches."
    )
    to_batch: int = Field(ge=1, le=MAX_BATCH, description="Samples of one update in the new run.")
    optimizer: ScaledFor | None = Field(default=None, description="What trains; some caveats depend on it.")


@dataclass(frozen=True, kw_only=True)
class PreviewPoint:
    """The learning rate at one update."""

    update: int
    lr: float


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a schedule does over a run."""

    label: str
    """The schedule in words."""
    digest: str
    """SHA-256 of its canonical JSON: equal schedules have equal digests."""
    total_steps: int
    points: tuple[PreviewPoint, ...]
    """By update; the first and the last update are among them."""
