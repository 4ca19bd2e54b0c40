"""The metric over the peak rate: a parabola through the results of similar schedules at one rung."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from tuner.metric import Metric
from tuner.report.insights import PeakFit, PeakPoint
from tuner.report.report import Candidate
from tuner.report.shapes import SIMILAR, distance
from tuner.report.study_result import StudyResult, TrialResult

MIN_POINTS: Final = 4
"""Minimum number of trials for a fit."""
MIN_PEAKS: Final = 3
"""Minimum number of different peaks: a parabola has three unknowns."""
MIN_SPAN: Final = 2.0
"""Minimum ratio of the highest to the lowest peak: closer ones show noise."""
WINDOW: Final = 5.0
"""Maximum ratio to the candidate's peak, in both directions: a parabola is a good fit near the optimum only."""
MIN_R_SQUARED: Final = 0.5
"""Share of the variance of the results below which the fit is not used."""


def similar_trials(result: StudyResult, *, candidate: Candidate) -> list[TrialResult]:
    """The trials with a candidate's options whose shape is similar to its own, at any peak."""
    return [
        trial
        for trial in result.trials
        if dict(trial.configuration.options) == candidate.options
        and distance(trial.schedule, candidate.schedule, total_steps=result.total_steps) <= SIMILAR
    ]


def points_at(similar: Sequence[TrialResult], *, peak_lr: float, rung: int, metric: Metric) -> tuple[PeakPoint, ...]:
    """The results of trials at a rung, with peaks within the `WINDOW` around a peak, in ascending order of the peak."""
    # The margin keeps a peak at the edge of the window, whose logarithm may be rounded up.
    reach = math.log(WINDOW) + 1e-9
    return tuple(
        sorted(
            (
                PeakPoint(trial=trial.number, peak_lr=trial.schedule.peak_lr, value=metric.value(loss))
                for trial in similar
                if len(trial.losses) > rung and (loss := trial.losses[rung]) is not None
                if abs(math.log(trial.schedule.peak_lr / peak_lr)) <= reach
            ),
            key=lambda point: (point.peak_lr, point.trial),
        )
    )


def are_enough(points: Sequence[PeakPoint]) -> bool:
    """Whether these are enough for a parabola."""
    peaks = {point.peak_lr for point in points}
    return len(points) >= MIN_POINTS and len(peaks) >= MIN_PEAKS and max(peaks) >= MIN_SPAN * min(peaks)


def fit_peak(points: Sequence[PeakPoint], *, peak_lr: float, metric: Metric) -> PeakFit | None:
    """The parabola by least squares over x = ln(peak / ``peak_lr``).

    Args:
        points: Enough of them.
        peak_lr: Where x is 0.
        metric: What the results are of.

    Returns:
        The fit; ``None`` where it has no best value (it opens downwards for a minimized metric, upwards for a maximized
        one), or all results are equal.
    """
    # Rates differ by factors; centered at the peak, the powers of x stay of moderate size in the fit.
    x = np.log([point.peak_lr / peak_lr for point in points])
    values = np.array([point.value for point in points])
    curvature, slope, constant = (float(value) for value in np.polyfit(x, values, deg=2))
    spread = float(np.sum((values - values.mean()) ** 2))
    if metric.loss(curvature) <= 0.0 or not spread > 0.0:
        return None
    rest = float(np.sum((values - np.polyval((curvature, slope, constant), x)) ** 2))
    return PeakFit(constant=constant, slope=slope, curvature=curvature, r_squared=1.0 - rest / spread)


def best_peak(points: Sequence[PeakPoint], *, peak_lr: float, metric: Metric) -> float | None:
    """The peak at the vertex of the parabola; ``None`` where there is none, or it lies beyond what was tried."""
    fit = fit_peak(points, peak_lr=peak_lr, metric=metric) if are_enough(points) else None
    if fit is None or fit.r_squared < MIN_R_SQUARED:
        return None
    # A nearly flat parabola may have its vertex so far off that exp would overflow.
    best = peak_lr * math.exp(min(max(-fit.slope / (2.0 * fit.curvature), -10.0), 10.0))
    return best if points[0].peak_lr <= best <= points[-1].peak_lr else None
