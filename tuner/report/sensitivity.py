"""How far the peak rate may be off before it hurts: a parabola through the losses of similar schedules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tuner.report.insights import PeakFit, PeakLimit, PeakPoint, Sensitivity
from tuner.report.report import Candidate
from tuner.report.shapes import SIMILAR, distance
from tuner.report.study_result import StudyResult, TrialResult
from tuner.report.tolerance import tolerance

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


def peak_sensitivity(result: StudyResult, *, candidate: Candidate) -> Sensitivity:
    """How far a candidate's peak may be off.

    At the highest rung with `MIN_POINTS` suitable trials of `MIN_PEAKS` peaks that span `MIN_SPAN`, the loss is fitted
    by least squares as ``a + b x + c x^2`` over ``x = ln(peak / the candidate's peak)``. Suitable is a trial with the
    candidate's options whose shape is similar to the candidate's, whose peak lies within the `WINDOW`, and which did
    not diverge. The limits are where the fit is higher than at x = 0 by the tolerance; as a parabola that opens upwards
    has one such place on either side, both exist.

    Args:
        result: The study.
        candidate: One of its candidates.

    Returns:
        The limits, none of them beyond the peaks that the fit rests on or where such a schedule diverged; or why there
        are none.
    """
    similar = [
        trial
        for trial in result.trials
        if dict(trial.configuration.options) == candidate.options
        and distance(trial.schedule, candidate.schedule, total_steps=result.total_steps) <= SIMILAR
    ]
    for rung in reversed(range(len(result.rung_steps))):
        points = _points(similar, candidate=candidate, rung=rung)
        if _are_enough(points):
            return _fitted(points, candidate=candidate, rung=rung, diverged_from=_diverged_from(similar))
    most = max(len(_points(similar, candidate=candidate, rung=rung)) for rung in range(len(result.rung_steps)))
    return _unknown(
        candidate,
        reason=f"no rung has losses of {MIN_POINTS} such schedules at {MIN_PEAKS} or more peaks within a factor of "
        f"{WINDOW:g} of its own, the highest at least {MIN_SPAN:g} times the lowest; the most at one rung are {most}",
    )


def _are_enough(points: Sequence[PeakPoint]) -> bool:
    peaks = {point.peak_lr for point in points}
    return len(points) >= MIN_POINTS and len(peaks) >= MIN_PEAKS and max(peaks) >= MIN_SPAN * min(peaks)


def _points(similar: Sequence[TrialResult], *, candidate: Candidate, rung: int) -> tuple[PeakPoint, ...]:
    reach = math.log(WINDOW) + 1e-9
    return tuple(
        sorted(
            (
                PeakPoint(trial=trial.number, peak_lr=trial.schedule.peak_lr, loss=loss)
                for trial in similar
                if len(trial.losses) > rung and (loss := trial.losses[rung]) is not None
                if abs(math.log(trial.schedule.peak_lr / candidate.schedule.peak_lr)) <= reach
            ),
            key=lambda point: (point.peak_lr, point.trial),
        )
    )


def _diverged_from(similar: Sequence[TrialResult]) -> float | None:
    return min((trial.schedule.peak_lr for trial in similar if None in trial.losses), default=None)


def _fitted(
    points: tuple[PeakPoint, ...], *, candidate: Candidate, rung: int, diverged_from: float | None
) -> Sensitivity:
    best_peak = candidate.schedule.peak_lr
    known: dict[str, Any] = {"rung": rung, "points": points, "diverged_from": diverged_from}
    x = np.log([point.peak_lr / best_peak for point in points])
    losses = np.array([point.loss for point in points])
    curvature, slope, constant = (float(value) for value in np.polyfit(x, losses, deg=2))
    spread = float(np.sum((losses - losses.mean()) ** 2))
    if curvature <= 0.0 or not spread > 0.0:
        return _unknown(candidate, reason="the loss does not rise on both sides of an optimum near it", **known)
    rest = float(np.sum((losses - np.polyval((curvature, slope, constant), x)) ** 2))
    fit = PeakFit(constant=constant, slope=slope, curvature=curvature, r_squared=1.0 - rest / spread)
    known["fit"] = fit
    if fit.r_squared < MIN_R_SQUARED:
        reason = f"the losses scatter: the peak explains {100 * fit.r_squared:.0f} % of their variance"
        return _unknown(candidate, reason=reason, **known)
    rise, kind = tolerance(candidate, loss=constant)
    if rise == 0.0:
        return _unknown(candidate, reason="the loss is zero and has no noise to measure a rise by", **known)
    below, above = _places(fit, rise=rise)
    ceiling = float(x.max()) if diverged_from is None else min(float(x.max()), math.log(diverged_from / best_peak))
    return Sensitivity(
        trial=candidate.trial,
        peak_lr=best_peak,
        reason=None,
        tolerance=rise,
        tolerance_kind=kind,
        below=_limit(below, tried=-float(x.min())),
        above=_limit(above, tried=ceiling),
        **known,
    )


def _places(fit: PeakFit, *, rise: float) -> tuple[float, float]:
    """How far below and above x = 0 the fit is higher by ``rise`` than there; both positive."""
    root = math.sqrt(fit.slope**2 + 4.0 * fit.curvature * rise)
    return (fit.slope + root) / (2.0 * fit.curvature), (root - fit.slope) / (2.0 * fit.curvature)


def _limit(place: float, *, tried: float) -> PeakLimit | None:
    if tried <= 0.0:
        return None
    return PeakLimit(factor=math.exp(min(place, tried)), reached=place <= tried)


def _unknown(candidate: Candidate, *, reason: str, **known: Any) -> Sensitivity:
    given = {"trial": candidate.trial, "peak_lr": candidate.schedule.peak_lr, "reason": reason, **known}
    return Sensitivity.model_validate(given)
