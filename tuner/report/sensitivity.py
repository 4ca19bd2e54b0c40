"""How far the peak rate may be off before it hurts: a parabola through the results of similar schedules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tuner.metric import Metric
from tuner.report.insights import PeakFit, PeakLimit, PeakPoint, Sensitivity
from tuner.report.peak_fit import (
    MIN_PEAKS,
    MIN_POINTS,
    MIN_R_SQUARED,
    MIN_SPAN,
    WINDOW,
    are_enough,
    fit_peak,
    points_at,
    similar_trials,
)
from tuner.report.report import Candidate
from tuner.report.study_result import StudyResult, TrialResult
from tuner.report.tolerance import tolerance


def peak_sensitivity(result: StudyResult, *, candidate: Candidate) -> Sensitivity:
    """How far a candidate's peak may be off.

    At the highest rung with `MIN_POINTS` suitable trials of `MIN_PEAKS` peaks that span `MIN_SPAN`, the metric is
    fitted by least squares as ``a + b x + c x^2`` over ``x = ln(peak / the candidate's peak)``. Suitable is a trial
    with the candidate's options whose shape is similar to the candidate's, whose peak lies within the `WINDOW`, and
    which did not diverge. The limits are where the fit is worse than at x = 0 by the tolerance; a parabola with a best
    value has one such place on either side.

    Args:
        result: The study.
        candidate: One of its candidates.

    Returns:
        The limits, none of them beyond the peaks that the fit rests on or where such a schedule diverged; or why there
        are none.
    """
    similar, peak_lr = similar_trials(result, candidate=candidate), candidate.schedule.peak_lr
    for rung in reversed(range(len(result.rung_steps))):
        points = points_at(similar, peak_lr=peak_lr, rung=rung, metric=result.metric)
        if are_enough(points):
            known = {"rung": rung, "points": points, "diverged_from": _diverged_from(similar)}
            return _fitted(points, candidate=candidate, metric=result.metric, known=known)
    rungs = range(len(result.rung_steps))
    most = max(len(points_at(similar, peak_lr=peak_lr, rung=rung, metric=result.metric)) for rung in rungs)
    return _unknown(
        candidate,
        reason=f"no rung has results of {MIN_POINTS} such schedules at {MIN_PEAKS} or more peaks within a factor of "
        f"{WINDOW:g} of its own, the highest at least {MIN_SPAN:g} times the lowest; the most at one rung are {most}",
    )


def _diverged_from(similar: Sequence[TrialResult]) -> float | None:
    return min((trial.schedule.peak_lr for trial in similar if None in trial.losses), default=None)


def _fitted(
    points: tuple[PeakPoint, ...], *, candidate: Candidate, metric: Metric, known: dict[str, Any]
) -> Sensitivity:
    best_peak = candidate.schedule.peak_lr
    fit = fit_peak(points, peak_lr=best_peak, metric=metric)
    if fit is None:
        reason = f"the {metric.name} does not worsen on both sides of an optimum near it"
        return _unknown(candidate, reason=reason, **known)
    known["fit"] = fit
    if fit.r_squared < MIN_R_SQUARED:
        reason = f"the results scatter: the peak explains {100 * fit.r_squared:.0f} % of their variance"
        return _unknown(candidate, reason=reason, **known)
    worsening, kind = tolerance(candidate, value=fit.constant)
    if worsening == 0.0:
        reason = f"the {metric.name} is zero and has no noise to measure a change by"
        return _unknown(candidate, reason=reason, **known)
    below, above = _places(fit, worsening=worsening, metric=metric)
    x = [math.log(point.peak_lr / best_peak) for point in points]
    diverged_from = known["diverged_from"]
    ceiling = max(x) if diverged_from is None else min(max(x), math.log(diverged_from / best_peak))
    return Sensitivity(
        trial=candidate.trial,
        peak_lr=best_peak,
        reason=None,
        tolerance=worsening,
        tolerance_kind=kind,
        below=_limit(below, tried=-min(x)),
        above=_limit(above, tried=ceiling),
        **known,
    )


def _places(fit: PeakFit, *, worsening: float, metric: Metric) -> tuple[float, float]:
    """How far below and above x = 0 the fit is worse by ``worsening`` than there; both positive."""
    # As a loss every fit opens upwards, so the root is real and exceeds the slope.
    slope, curvature = metric.loss(fit.slope), metric.loss(fit.curvature)
    root = math.sqrt(slope**2 + 4.0 * curvature * worsening)
    return (slope + root) / (2.0 * curvature), (root - slope) / (2.0 * curvature)


def _limit(place: float, *, tried: float) -> PeakLimit | None:
    if tried <= 0.0:
        return None
    return PeakLimit(factor=math.exp(min(place, tried)), reached=place <= tried)


def _unknown(candidate: Candidate, *, reason: str, **known: Any) -> Sensitivity:
    fields = {"trial": candidate.trial, "peak_lr": candidate.schedule.peak_lr, "reason": reason, **known}
    return Sensitivity.model_validate(fields)
