"""How far the peak rate may be off before it hurts: a parabola through the results of similar schedules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tuner.metric import Metric
from tuner.report.analyses.peak_fit import (
    MIN_PEAKS,
    MIN_R_SQUARED,
    MIN_SPAN,
    MIN_TRIALS,
    WINDOW,
    are_enough,
    fit_peak,
    points_near,
    similar_trials,
)
from tuner.report.analyses.tolerance import tolerance
from tuner.report.evidence import Evidence
from tuner.report.insights import PeakFit, PeakLimit, PeakPoint, Sensitivity
from tuner.search.decision.decisions import TrialView


def peak_sensitivity(evidence: Evidence, *, trial: int) -> Sensitivity:
    """How far a trial's peak may be off.

    The metric at the horizon is fitted by least squares as ``a + b x + c x^2`` over ``x = ln(peak / its peak)``, with
    an effect of each seed, where there are `MIN_TRIALS` suitable trials of `MIN_PEAKS` peaks that span `MIN_SPAN`.
    Suitable is a trial with the trial's options whose shape is similar to its own, whose peak lies within the `WINDOW`,
    and whose results did not diverge. The limits are where the fit is worse than at x = 0 by the tolerance; a parabola
    with a best value has one such place on either side.

    Args:
        evidence: Of the study.
        trial: One of its trials at the horizon.

    Returns:
        The limits, none of them beyond the peaks that the fit rests on or where such a schedule diverged; or why there
        are none.
    """
    similar, peak_lr = similar_trials(evidence, trial=trial), evidence.view(trial).configuration.schedule.peak_lr
    points = points_near(similar, peak_lr=peak_lr, evidence=evidence)
    fields = {"trial": trial, "peak_lr": peak_lr}
    if are_enough(points):
        known = {**fields, "diverged_from": _diverged_from(similar, evidence=evidence)}
        return _fitted(points, evidence=evidence, known=known)
    trials, peaks = len({point.trial for point in points}), len({point.peak_lr for point in points})
    reason = (
        f"that takes {MIN_TRIALS} schedules of about this shape on common seeds, with {MIN_PEAKS} different peaks "
        f"within a factor of {WINDOW:g}, the highest at least {MIN_SPAN:g} times the lowest; this job has "
        f"{f'{trials} with {peaks}' if trials else 'none'}"
    )
    return Sensitivity.model_validate({**fields, "reason": reason})


def _diverged_from(similar: Sequence[TrialView], *, evidence: Evidence) -> float | None:
    diverged = (one.configuration.schedule.peak_lr for one in similar if evidence.diverged(one.number))
    return min(diverged, default=None)


def _fitted(points: tuple[PeakPoint, ...], *, evidence: Evidence, known: dict[str, Any]) -> Sensitivity:
    metric, peak_lr = evidence.result.metric, known["peak_lr"]
    fit, adjusted = fit_peak(points, peak_lr=peak_lr, metric=metric)
    known = {**known, "points": adjusted, "fit": fit}
    if fit is None:
        reason = f"the {metric.name} does not worsen on both sides of an optimum near it"
        return Sensitivity.model_validate({**known, "reason": reason})
    if fit.r_squared < MIN_R_SQUARED:
        reason = f"the results scatter: the peak explains {100 * fit.r_squared:.0f} % of their variance"
        return Sensitivity.model_validate({**known, "reason": reason})
    worsening, kind = tolerance(fit.constant, evidence=evidence)
    if worsening == 0.0:
        reason = f"the {metric.name} is zero and has no noise to measure a change by"
        return Sensitivity.model_validate({**known, "reason": reason})
    below, above = _places(fit, worsening=worsening, metric=metric)
    x = [math.log(point.peak_lr / peak_lr) for point in points]
    diverged_from = known["diverged_from"]
    ceiling = max(x) if diverged_from is None else min(max(x), math.log(diverged_from / peak_lr))
    limits = {"below": _limit(below, tried=-min(x)), "above": _limit(above, tried=ceiling)}
    return Sensitivity.model_validate(
        {**known, **limits, "reason": None, "tolerance": worsening, "tolerance_kind": kind}
    )


def _places(fit: PeakFit, *, worsening: float, metric: Metric) -> tuple[float, float]:
    """How far below and above x = 0 the fit is worse by ``worsening`` than there; both positive."""
    # As a loss every fit opens upwards, so the root is real and exceeds the slope.
    # In units of the curvature, and as the two roots' product: squares of very large losses would overflow.
    slope, needed = fit.slope / fit.curvature, worsening / metric.loss(fit.curvature)
    larger = (abs(slope) + math.hypot(slope, 2.0 * math.sqrt(needed))) / 2.0
    return (larger, needed / larger) if slope >= 0.0 else (needed / larger, larger)


def _limit(place: float, *, tried: float) -> PeakLimit | None:
    if tried <= 0.0:
        return None
    return PeakLimit(factor=math.exp(min(place, tried)), reached=place <= tried)
