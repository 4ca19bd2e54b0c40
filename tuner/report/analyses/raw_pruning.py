"""What pruning on the raw loss would have thrown away: the median rule of general tuners, on the recorded curves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final

from tuner.jobs.records import CurvePoint
from tuner.report.study_result import StudyResult
from tuner.search.decision.decisions import RunStatus

_STARTUP: Final = 2
"""Complete earlier runs from which the rule stops a run."""


def raw_pruning_sentence(result: StudyResult, *, recommended: int) -> str:
    """Whether the median rule would have stopped the recommended schedule.

    The rule stops a run whose loss at an evaluation is above the median of what earlier runs had there (Optuna's
    `MedianPruner`; Golovin et al., Google Vizier, KDD 2017). It is applied to the first run of every trial, in order,
    each against all earlier ones that were trained to their end.

    Args:
        result: The study.
        recommended: The recommended trial.

    Returns:
        One sentence; empty where too few curves were recorded.
    """
    earlier: list[Sequence[CurvePoint]] = []
    stopped: dict[int, int] = {}
    seen: set[int] = set()
    for run in result.state.runs:
        history = result.history(run)
        if run.trial in seen or run.status is not RunStatus.FINISHED or history is None or len(history.points) < 2:
            continue
        seen.add(run.trial)
        step = _stopped_at(history.points, earlier=earlier)
        if step is not None:
            stopped[run.trial] = step
        earlier.append(history.points)
    if recommended not in seen or len(seen) <= _STARTUP:
        return ""
    count = f"{len(stopped)} of the {len(seen)} schedules that were trained to the end"
    if recommended in stopped:
        return (
            f"Pruning on the raw loss (the median rule of general tuners) would have stopped {count}, the recommended "
            f"one at update {stopped[recommended]:,} among them."
        )
    return f"Pruning on the raw loss (the median rule of general tuners) would have stopped {count}."


def _stopped_at(points: Sequence[CurvePoint], *, earlier: Sequence[Sequence[CurvePoint]]) -> int | None:
    """The step at which the median rule stops a run; ``None`` when it does not."""
    if len(earlier) < _STARTUP:
        return None
    for point in points[:-1]:
        there = [loss for curve in earlier if (loss := _loss_at(curve, step=point.step)) is not None]
        if point.step > 0 and len(there) >= _STARTUP and point.val_loss > statistics.median(there):
            return point.step
    return None


def _loss_at(curve: Sequence[CurvePoint], *, step: int) -> float | None:
    """The loss of a run at its last evaluation until a step."""
    losses = [point.val_loss for point in curve if 0 < point.step <= step and math.isfinite(point.val_loss)]
    return losses[-1] if losses else None
