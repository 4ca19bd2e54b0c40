"""The metric over the peak rate: a parabola through the results of similar schedules at the horizon."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.metric import Metric
from tuner.report.analyses.shapes import SIMILAR, distance
from tuner.report.evidence import Evidence
from tuner.report.insights import PeakFit, PeakPoint
from tuner.search.decision.decisions import RunStatus, TrialView

MIN_TRIALS: Final = 4
"""Minimum number of trials for a fit."""
MIN_PEAKS: Final = 3
"""Minimum number of different peaks: a parabola has three unknowns."""
MIN_SPAN: Final = 2.0
"""Minimum ratio of the highest to the lowest peak: closer ones show noise."""
WINDOW: Final = 5.0
"""Maximum ratio to the candidate's peak, in both directions: a parabola is a good fit near the optimum only."""
MIN_R_SQUARED: Final = 0.5
"""Share of the variance of the results below which the fit is not used."""


def similar_trials(evidence: Evidence, *, trial: int) -> list[TrialView]:
    """The trials with a trial's options whose shape is similar to its own, at any peak; itself included."""
    total_steps, own = evidence.result.total_steps, evidence.view(trial).configuration
    return [
        other
        for other in evidence.result.state.trials
        if other.configuration.options == own.options
        and distance(other.configuration.schedule, own.schedule, total_steps=total_steps) <= SIMILAR
    ]


def points_near(similar: Sequence[TrialView], *, peak_lr: float, evidence: Evidence) -> tuple[PeakPoint, ...]:
    """The results of trials with peaks within the `WINDOW` around a peak, in ascending order of the peak.

    The values still have the effects of their seeds. A seed on which only one of the trials has a result shows nothing
    of the peak, and is left out.
    """
    metric = evidence.result.metric
    # The margin keeps a peak at the edge of the window, whose logarithm may be rounded up.
    reach = math.log(WINDOW) + 1e-9
    near = [one for one in similar if abs(math.log(one.configuration.schedule.peak_lr / peak_lr)) <= reach]
    points = [
        PeakPoint(
            trial=trial.number,
            seed=run.seed,
            peak_lr=trial.configuration.schedule.peak_lr,
            value=metric.value(run.loss),
        )
        for trial in near
        for run in evidence.results(trial.number)
        if run.status is RunStatus.FINISHED and run.loss is not None
    ]
    trials: defaultdict[int, set[int]] = defaultdict(set)
    for point in points:
        trials[point.seed].add(point.trial)
    shared = (point for point in points if len(trials[point.seed]) > 1)
    return tuple(sorted(shared, key=lambda point: (point.peak_lr, point.trial, point.seed)))


def are_enough(points: Sequence[PeakPoint]) -> bool:
    """Whether these are enough for a parabola."""
    peaks = {point.peak_lr for point in points}
    trials = {point.trial for point in points}
    return len(trials) >= MIN_TRIALS and len(peaks) >= MIN_PEAKS and max(peaks) >= MIN_SPAN * min(peaks)


def fit_peak(
    points: Sequence[PeakPoint], *, peak_lr: float, metric: Metric
) -> tuple[PeakFit | None, tuple[PeakPoint, ...]]:
    """The parabola by least squares over x = ln(peak / ``peak_lr``), with an effect of each seed.

    Args:
        points: Enough of them.
        peak_lr: Where x is 0.
        metric: What the results are of.

    Returns:
        The fit, and the points without the effects of their seeds. The fit is ``None`` where it has no best value (it
        opens downwards for a minimized metric, upwards for a maximized one), or all results are equal.
    """
    # Rates differ by factors; centered at the peak, the powers of x stay of moderate size in the fit.
    x = np.log([point.peak_lr / peak_lr for point in points])
    values = np.array([point.value for point in points])
    effects = _seed_columns([point.seed for point in points])
    coefficients = np.linalg.lstsq(np.column_stack((np.ones_like(x), x, x**2, effects)), values, rcond=None)[0]
    constant, slope, curvature = (float(value) for value in coefficients[:3])
    values = values - effects @ coefficients[3:]
    adjusted = tuple(
        point.model_copy(update={"value": float(value)}) for point, value in zip(points, values, strict=True)
    )
    # In units of the largest value: squares of very large or small ones would overflow, or vanish.
    unit = float(np.abs(values).max()) or 1.0
    spread = float(np.sum(((values - values.mean()) / unit) ** 2))
    if metric.loss(curvature) <= 0.0 or not spread > 0.0:
        return None, adjusted
    rest = float(np.sum(((values - np.polyval((curvature, slope, constant), x)) / unit) ** 2))
    return PeakFit(constant=constant, slope=slope, curvature=curvature, r_squared=1.0 - rest / spread), adjusted


def _seed_columns(seeds: Sequence[int]) -> NDArray[np.float64]:
    """``[n, seeds - 1]``: 1 where a point has that seed. The first seed has no column: its effect is 0."""
    others = list(dict.fromkeys(seeds))[1:]
    columns: NDArray[np.float64] = np.array([[float(seed == other) for other in others] for seed in seeds])
    return columns.reshape(len(seeds), len(others))
