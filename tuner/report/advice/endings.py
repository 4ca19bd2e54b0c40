"""How a run ends: still falling, or flat for a long time; and what more updates have brought so far."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from tuner.jobs.records import CurvePoint
from tuner.metric import Metric
from tuner.report.insights import Advice, AdviceCode
from tuner.report.report import Candidate
from tuner.report.shapes import shape_of
from tuner.report.study_result import StudyResult
from tuner.report.tolerance import tolerance
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
FLAT: Final = 0.3
"""Share of the run at its end over which the metric must not have moved for fewer updates to do."""
PER_DOUBLING: Final = 0.1
"""Relative change of the metric that twice the updates must bring for a longer run to be advised."""
MIN_CURVES: Final = 2
MIN_EVALUATIONS: Final = 8

Curve = Sequence[CurvePoint]


def advise_on_the_end(result: StudyResult, *, candidate: Candidate, curves: Sequence[Curve]) -> Iterator[Advice]:
    """Advise on decay and length, from the ends of the candidate's runs and from its results at the two highest rungs.

    The curve shows whether to decay: a metric that still improves while the rate is high calls for a decay to zero, one
    that improves in a short decay for an earlier one. The rungs show whether to train longer: they are complete
    schedules, so that the difference of their results is what more updates bring, which no curve of a decaying rate can
    show.

    Args:
        result: The study.
        candidate: The one to advise on.
        curves: Of its runs on several seeds.
    """
    yield from _decay(result, candidate=candidate, curves=curves)
    yield from _longer(result, candidate=candidate)
    yield from _fewer(result, candidate=candidate, curves=curves)


def _decay(result: StudyResult, *, candidate: Candidate, curves: Sequence[Curve]) -> Iterator[Advice]:
    metric = result.metric
    improvement = _improvement(curves, since=1.0 - TAIL, total_steps=result.total_steps)
    if improvement is None or candidate.median is None:
        return
    needed = max(IMPROVES * abs(candidate.median), tolerance(candidate, value=candidate.median)[0])
    if improvement <= needed:
        return
    shape = shape_of(candidate.schedule, total_steps=result.total_steps)
    ends_at = float(shape[-1])
    decay = float((shape[::-1] < 0.5).argmin() / len(shape))
    change = f"{_moved(metric)} by {difference_text(improvement, metric=metric)} ({len(curves)} seeds)"
    seen = f"over the last {percent(TAIL)} of the updates the {metric.name} still {change}"
    numbers = {
        "improvement": improvement,
        "needed": needed,
        "ends_at": ends_at,
        "decay_share": decay,
        "seeds": len(curves),
    }
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


def _longer(result: StudyResult, *, candidate: Candidate) -> Iterator[Advice]:
    rungs = _two_highest(result, candidate=candidate)
    if rungs is None:
        return
    metric = result.metric
    (before, loss_before), (after, loss_after) = rungs
    value_before, value_after = metric.value(loss_before), metric.value(loss_after)
    improvement = loss_before - loss_after
    if min(value_before, value_after) <= 0.0 or improvement <= tolerance(candidate, value=value_after)[0]:
        return
    per_doubling = abs(1.0 - (value_after / value_before) ** (1.0 / math.log2(after / before)))
    if per_doubling < PER_DOUBLING:
        return
    yield Advice(
        code=AdviceCode.TRAIN_LONGER,
        sentence=f"Train longer, if you can afford it: from {before:,} to {after:,} updates the complete schedule's "
        f"{metric.name} {_moved(metric)} from {metric.text(value_before)} to {metric.text(value_after)}, "
        f"{100 * per_doubling:.0f} % for every doubling.",
        evidence={
            "updates_before": before,
            "updates_after": after,
            "value_before": value_before,
            "value_after": value_after,
            "change_per_doubling": per_doubling,
        },
    )


def _fewer(result: StudyResult, *, candidate: Candidate, curves: Sequence[Curve]) -> Iterator[Advice]:
    rungs = _two_highest(result, candidate=candidate)
    metric = result.metric
    improvement = _improvement(curves, since=1.0 - FLAT, total_steps=result.total_steps)
    if improvement is None or rungs is None or candidate.median is None:
        return
    allowed = tolerance(candidate, value=candidate.median)[0]
    (before, loss_before), (after, loss_after) = rungs
    if improvement > allowed or loss_before - loss_after > allowed:
        return
    yield Advice(
        code=AdviceCode.FEWER_UPDATES,
        sentence=f"Fewer updates would do: the {metric.name} is flat over the last {percent(FLAT)} of them, and the "
        f"complete schedule reached {metric.text(metric.value(loss_before))} in {before:,} updates and "
        f"{metric.text(metric.value(loss_after))} in {after:,}; differences up to "
        f"{difference_text(allowed, metric=metric)} do not count.",
        evidence={
            "improvement": improvement,
            "tolerance": allowed,
            "updates_before": before,
            "updates_after": after,
            "value_before": metric.value(loss_before),
            "value_after": metric.value(loss_after),
            "seeds": len(curves),
        },
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


def _two_highest(result: StudyResult, *, candidate: Candidate) -> tuple[tuple[int, float], tuple[int, float]] | None:
    """Updates and loss of the candidate's trial at the two highest rungs, on the search's seed."""
    losses = next(trial.losses for trial in result.trials if trial.number == candidate.trial)
    if len(losses) < len(result.rung_steps) or len(losses) < 2:
        return None
    before, after = losses[-2:]
    if before is None or after is None:
        return None
    return (result.rung_steps[-2], before), (result.rung_steps[-1], after)
