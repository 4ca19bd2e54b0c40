"""What the preview of a schedule takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tuner.schedules import Schedule

MAX_STEPS = 10_000_000
"""Longest run that the API draws or writes update by update."""

PREVIEW_EXAMPLES: dict[str, Any] = {
    "wsd": {
        "summary": "Warm up, hold, cool down over the last 40 %",
        "value": {
            "schedule": {
                "version": 1,
                "peak_lr": 0.01,
                "family": {"name": "wsd", "cooldown": 0.4, "shape": "1-sqrt"},
                "warmup": {"shape": "linear", "fraction": 0.05},
            },
            "total_steps": 1000,
            "points": 50,
        },
    },
    "cosine": {
        "summary": "Cosine to zero",
        "value": {"schedule": {"peak_lr": 0.001, "family": {"name": "cosine"}}, "total_steps": 500},
    },
}


class PreviewRequest(BaseModel):
    """A schedule and the length of the run to see it on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: Schedule = Field(description="The schedule, as a report or an export gives it.")
    total_steps: int = Field(ge=1, le=MAX_STEPS, description="Optimizer updates of the run.")
    points: int = Field(default=200, ge=2, le=2_000, description="At most so many points, evenly spread.")


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
