"""The loss over the peak rate: a parabola through the losses of similar schedules at one rung."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from tuner.report.insights import PeakFit, PeakPoint
from tuner.report.report import Candidate
from tuner.report.shapes import SIMILAR, distance
from tuner.report.study_result import StudyResult, TrialResult

MIN_POINTS: Final = 4
"""Trials that a fit takes."""
MIN_PEAKS: Final = 3
"""Different peaks among them: a parabola has three unknowns."""
MIN_SPAN: Final = 2.0
"""Highest over lowest of these peaks: closer ones tell noise."""
WINDOW: Final = 5.0
"""Peaks up to so many times below and above the candidate's take part: a parabola is good near the optimum alone."""
MIN_R_SQUARED: Final = 0.5
"""Share of the variance of the losses below which the fit says nothing."""


def similar_trials(result: StudyResult, *, candidate: Candidate) -> list[TrialResult]:
    """The trials with a candidate's options whose shape is similar to its own, at whatever peak."""
    return [
        trial
        for trial in result.trials
        if dict(trial.configuration.options) == candidate.options
        and distance(trial.schedule, candidate.schedule, total_steps=result.total_steps) <= SIMILAR
    ]


def points_at(similar: Sequence[TrialResult], *, peak_lr: float, rung: int) -> tuple[PeakPoint, ...]:
    """The losses of trials at a rung, within the `WINDOW` around a peak, by their own."""
    reach = math.log(WINDOW) + 1e-9
    return tuple(
        sorted(
            (
                PeakPoint(trial=trial.number, peak_lr=trial.schedule.peak_lr, loss=loss)
                for trial in similar
                if len(trial.losses) > rung and (loss := trial.losses[rung]) is not None
                if abs(math.log(trial.schedule.peak_lr / peak_lr)) <= reach
            ),
            key=lambda point: (point.peak_lr, point.trial),
        )
    )


def are_enough(points: Sequence[PeakPoint]) -> bool:
    """Whether a parabola through these says anything."""
    peaks = {point.peak_lr for point in points}
    return len(points) >= MIN_POINTS and len(peaks) >= MIN_PEAKS and max(peaks) >= MIN_SPAN * min(peaks)


def fit_peak(points: Sequence[PeakPoint], *, peak_lr: float) -> PeakFit | None:
    """The parabola by least squares over x = ln(peak / ``peak_lr``).

    Args:
        points: Enough of them.
        peak_lr: Where x is 0.

    Returns:
        The fit; ``None`` where it does not open upwards, or all losses are equal.
    """
    x = np.log([point.peak_lr / peak_lr for point in points])
    losses = np.array([point.loss for point in points])
    curvature, slope, constant = (float(value) for value in np.polyfit(x, losses, deg=2))
    spread = float(np.sum((losses - losses.mean()) ** 2))
    if curvature <= 0.0 or not spread > 0.0:
        return None
    rest = float(np.sum((losses - np.polyval((curvature, slope, constant), x)) ** 2))
    return PeakFit(constant=constant, slope=slope, curvature=curvature, r_squared=1.0 - rest / spread)


def best_peak(points: Sequence[PeakPoint], *, peak_lr: float) -> float | None:
    """Where the parabola is lowest; ``None`` where it says nothing, or that lies beyond what was tried."""
    fit = fit_peak(points, peak_lr=peak_lr) if are_enough(points) else None
    if fit is None or fit.r_squared < MIN_R_SQUARED:
        return None
    lowest = peak_lr * math.exp(min(max(-fit.slope / (2.0 * fit.curvature), -10.0), 10.0))
    return lowest if points[0].peak_lr <= lowest <= points[-1].peak_lr else None
