"""The learning curves of a report: those that its picture shows, thinned out."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tuner.report.evidence import Evidence
from tuner.report.report import LearningCurve
from tuner.search.decision.decisions import RunView

MAX_CURVES: Final = 100
MAX_POINTS: Final = 40
MAX_FOLLOWED: Final = 400
"""Points of a curve, at most; of one whose rates followed the losses more, since they are drawn from them."""


def learning_curves(evidence: Evidence) -> tuple[LearningCurve, ...]:
    """The curves of at most `MAX_CURVES` runs, those of the recommended schedule and the incumbent first."""
    first = {evidence.estimates.recommended: 0, evidence.estimates.incumbent: 1}
    runs = sorted(evidence.result.state.runs, key=lambda run: first.get(run.trial, 2))
    curves = (curve for run in runs if (curve := _curve(run, evidence=evidence)) is not None)
    return tuple(curve for curve, _ in zip(curves, range(MAX_CURVES), strict=False))


def _curve(run: RunView, *, evidence: Evidence) -> LearningCurve | None:
    history, metric = evidence.result.history(run), evidence.result.metric
    points = [] if history is None else [point for point in history.points if math.isfinite(point.val_loss)]
    if not points:
        return None
    follows = evidence.view(run.trial).configuration.schedule.follows_loss
    most = MAX_FOLLOWED if follows else MAX_POINTS
    places = np.unique(np.linspace(0, len(points) - 1, min(len(points), most)).round().astype(int)).tolist()
    return LearningCurve(
        trial=run.trial,
        seed=run.seed,
        status=run.status,
        steps=tuple(points[place].step for place in places),
        values=tuple(metric.value(points[place].val_loss) for place in places),
    )
