"""How a run ends: still improving; and what more updates would bring."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from tuner.jobs.records import CurvePoint
from tuner.metric import Metric
from tuner.report.analyses.shapes import shape_of
from tuner.report.analyses.tolerance import tolerance
from tuner.report.evidence import Evidence
from tuner.report.insights import Advice, AdviceCode
from tuner.report.report import Candidate
from tuner.report.wording import difference_text
from tuner.schedules.lengths import percent

TAIL: Final = 0.1
"""Share of the run at its end in which an improvement of the metric counts as still improving."""
IMPROVES: Final = 0.02
"""Share of the metric's value that it must improve by in the tail; and more than its noise."""
ENDS_HIGH: Final = 0.05
"""Fraction of the peak above which a schedule has not decayed at its end."""
SHORT_DECAY: Final = 0.25
"""Share of the run below which the time spent under half of the peak, at its end, is a short decay."""
PER_DOUBLING: Final = 0.1
"""Relative change of the metric that twice the updates must bring for a longer run to be advised."""
MIN_CURVES: Final = 2
MIN_EVALUATIONS: Final = 8

Curve = Sequence[CurvePoint]


def advise_on_decay(evidence: Evidence, *, recommended: Candidate, curves: Sequence[Curve]) -> Iterator[Advice]:
    """Advise on the decay, from the ends of the runs: a metric that still improves while the rate is high calls for a
    decay to zero, one that improves in a short decay for an earlier one. None about a schedule that follows the loss.

    Args:
        evidence: Of the study.
        recommended: The candidate to advise on.
        curves: Of its runs on several seeds.
    """
    metric, total_steps = evidence.result.metric, evidence.result.total_steps
    improvement = _improvement(curves, since=1.0 - TAIL, total_steps=total_steps)
    if improvement is None or recommended.expected is None or recommended.schedule.follows_loss:
        return
    value = recommended.expected
    needed = max(IMPROVES * abs(value), tolerance(value, evidence=evidence)[0])
    if improvement <= needed:
        return
    shape = shape_of(recommended.schedule, total_steps=total_steps)
    ends_at = float(shape[-1])
    decay = float((shape[::-1] < 0.5).argmin() / len(shape))
    seeds = len(curves)
    change = f"{_moved(metric)} by {difference_text(improvement, metric=metric)} ({seeds} seeds)"
    seen = f"over the last {percent(TAIL)} of the updates the {metric.name} still {change}"
    numbers = {"improvement": improvement, "needed": needed, "ends_at": ends_at, "decay_share": decay, "seeds": seeds}
    if ends_at > ENDS_HIGH:
        yield Advice(
            code=AdviceCode.DECAY_TO_ZERO,
            sentence=f"Decay to zero: {seen}, while the rate ended at {percent(round(ends_at, 3))} of its peak.",
            evidence=numbers,
        )
    elif decay < SHORT_DECAY:
        yield Advice(
            code=AdviceCode.DECAY_EARLIER,
            sentence=f"Decay earlier: {seen}, and the rate was below half of its peak for the last "
            f"{percent(round(decay, 3))} of them alone.",
            evidence=numbers,
        )


def advise_on_length(evidence: Evidence, *, recommended: Candidate) -> Iterator[Advice]:
    """Advise a longer run where twice the updates would bring much, the schedule stretched to them.

    The end of a curve does not show that, since a decaying rate flattens every curve; what steps are worth does
    (`tuner.search.worth`).

    Args:
        evidence: Of the study.
        recommended: The candidate to advise on.
    """
    value, metric = recommended.expected, evidence.result.metric
    if value is None or value == 0.0:
        return
    configuration = evidence.view(recommended.trial).configuration
    gain = evidence.loss_over_steps.margin(rival=configuration, rival_loss=metric.loss(value), worth=1.0)
    if gain is None or gain <= tolerance(value, evidence=evidence)[0] or gain < PER_DOUBLING * abs(value):
        return
    longer = metric.value(metric.loss(value) - gain)
    yield Advice(
        code=AdviceCode.TRAIN_LONGER,
        sentence=f"Train longer, if you can afford it: with twice the updates the {metric.name} would go from "
        f"{metric.text(value)} to about {metric.text(longer)}, as far as the curves show.",
        evidence={"value": value, "value_at_twice_the_updates": longer},
    )


def _moved(metric: Metric) -> str:
    """The verb for an improvement of a metric."""
    return "rose" if metric.maximized else "fell"


def _improvement(curves: Sequence[Curve], *, since: float, total_steps: int) -> float | None:
    """By how much the metric improved from that share of the run to its end: the median over the seeds."""
    improvements = []
    for curve in curves:
        points = [point for point in curve if math.isfinite(point.val_loss)]
        start = [point for point in points if point.step <= since * total_steps]
        if len(points) < MIN_EVALUATIONS or points[-1].step < total_steps or not start:
            continue
        improvements.append(start[-1].val_loss - points[-1].val_loss)
    return statistics.median(improvements) if len(improvements) >= MIN_CURVES else None
