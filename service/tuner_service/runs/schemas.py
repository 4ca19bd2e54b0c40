"""What the routes of runs give, beyond the library's own values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from tuner.jobs.records import CurvePoint, LogChunk


@dataclass(frozen=True, kw_only=True)
class CurveSample:
    """One evaluation during a run, as JSON can tell it: `tuner.jobs.records.CurvePoint` may hold NaN and infinity."""

    step: int
    """Updates done when it was taken."""
    lr: float
    """Learning rate of the last update done."""
    train_loss: float | None
    """Mean since the sample before; ``None`` at step 0, and when it is not finite."""
    val_loss: float | None
    """``None`` when it is not finite."""

    @classmethod
    def of(cls, point: CurvePoint) -> Self:
        """A point, with ``None`` for what is not finite."""
        return cls(step=point.step, lr=point.lr, train_loss=_finite(point.train_loss), val_loss=_finite(point.val_loss))


@dataclass(frozen=True, kw_only=True)
class RunLog:
    """A piece of what a run's code printed."""

    chunks: tuple[LogChunk, ...]
    """In the order in which they were printed, over all attempts."""
    next: int
    """Give it as ``after`` to get what follows."""
    complete: bool
    """Nothing more will come, unless the job is tried again."""


def _finite(loss: float | None) -> float | None:
    return loss if loss is not None and math.isfinite(loss) else None
