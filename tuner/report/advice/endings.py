"""How a run ends: still falling, or flat for a long time; and what more updates have brought so far."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from tuner.jobs.records import CurvePoint
from tuner.report.insights import Advice, AdviceCode
from tuner.report.report import Candidate
from tuner.report.shapes import shape_of
from tuner.report.study_result import StudyResult
from tuner.report.tolerance import tolerance
from tuner.schedules.lengths import percent

TAIL: Final = 0.1
"""Share of the run at its end in which a fall of the loss counts as still falling."""
FALL: Final = 0.02
"""Share of the loss that it must fall by in the tail; and more than its noise."""
ENDS_HIGH: Final = 0.05
"""Fraction of the peak above which a schedule has not decayed at its end."""
SHORT_DECAY: Final = 0.25
"""Share of the run below which the time spent under half of the peak, at its end, is a short decay."""
FLAT: Final = 0.3
"""Share of the run at its end over which the loss must not have moved for fewer updates to do."""
PER_DOUBLING: Final = 0.1
"""Share of the loss that twice the updates must bring for a longer run to be advised."""
MIN_CURVES: Final = 2
MIN_EVALUATIONS: Final = 8

Curve = Sequence[CurvePoint]


def advise_on_the_end(result: StudyResult, *, candidate: Candidate, curves: Sequence[Curve]) -> Iterator[Advice]:
    """Advise on decay and length, from how the candidate's runs end and from its losses at the two highest rungs.

    The curve tells about the decay: a loss that is still falling while the rate is high calls for a decay to zero, one
    that falls in a short decay for an earlier one. The rungs tell about the length: they are complete schedules, so
    that the difference of their losses is what more updates bring, which no curve of a decaying rate can show.

    Args:
        result: The study.
        candidate: The one to advise on.
        curves: Of its runs on several seeds.
    """
    yield from _decay(candidate, curves=curves, total_steps=result.total_steps)
    yield from _longer(result, candidate=candidate)
    yield from _fewer(result, candidate=candidate, curves=curves)


def _decay(candidate: Candidate, *, curves: Sequence[Curve], total_steps: int) -> Iterator[Advice]:
    fall = _fall(curves, since=1.0 - TAIL, total_steps=total_steps)
    if fall is None or candidate.median is None:
        return
    needed = max(FALL * abs(candidate.median), tolerance(candidate, loss=candidate.median)[0])
    if fall <= needed:
        return
    shape = shape_of(candidate.schedule, total_steps=total_steps)
    ends_at = float(shape[-1])
    decay = float((shape[::-1] < 0.5).argmin() / len(shape))
    told = f"over the last {percent(TAIL)} of the updates the loss still fell by {fall:.3g} ({len(curves)} seeds)"
    numbers = {"fall": fall, "needed": needed, "ends_at": ends_at, "decay_share": decay, "seeds": len(curves)}
    if ends_at > ENDS_HIGH:
        yield Advice(
            code=AdviceCode.DECAY_TO_ZERO,
            sentence=f"Decay to zero: {told}, while the rate ended at {percent(round(ends_at, 3))} of its peak.",
            evidence=numbers,
        )
    elif decay < SHORT_DECAY:
        yield Advice(
            code=AdviceCode.DECAY_EARLIER,
            sentence=f"Decay earlier: {told}, and the rate was below half of its peak for the last "
            f"{percent(round(decay, 3))} of them alone.",
            evidence=numbers,
        )


def _longer(result: StudyResult, *, candidate: Candidate) -> Iterator[Advice]:
    rungs = _two_highest(result, candidate=candidate)
    if rungs is None:
        return
    (before, loss_before), (after, loss_after) = rungs
    if not 0.0 < loss_after < loss_before or loss_before - loss_after <= tolerance(candidate, loss=loss_after)[0]:
        return
    per_doubling = 1.0 - (loss_after / loss_before) ** (1.0 / math.log2(after / before))
    if per_doubling < PER_DOUBLING:
        return
    yield Advice(
        code=AdviceCode.TRAIN_LONGER,
        sentence=f"Train longer, if you can afford it: from {before:,} to {after:,} updates the complete schedule's "
        f"loss fell from {loss_before:.4g} to {loss_after:.4g}, {100 * per_doubling:.0f} % for every doubling.",
        evidence={
            "updates_before": before,
            "updates_after": after,
            "loss_before": loss_before,
            "loss_after": loss_after,
            "fall_per_doubling": per_doubling,
        },
    )


def _fewer(result: StudyResult, *, candidate: Candidate, curves: Sequence[Curve]) -> Iterator[Advice]:
    rungs = _two_highest(result, candidate=candidate)
    fall = _fall(curves, since=1.0 - FLAT, total_steps=result.total_steps)
    if fall is None or rungs is None or candidate.median is None:
        return
    allowed = tolerance(candidate, loss=candidate.median)[0]
    (before, loss_before), (after, loss_after) = rungs
    if fall > allowed or loss_before - loss_after > allowed:
        return
    yield Advice(
        code=AdviceCode.FEWER_UPDATES,
        sentence=f"Fewer updates would do: the loss is flat over the last {percent(FLAT)} of them, and the complete "
        f"schedule in {before:,} updates came to {loss_before:.4g}, in {after:,} to {loss_after:.4g}; differences up "
        f"to {allowed:.2g} do not count.",
        evidence={
            "fall": fall,
            "tolerance": allowed,
            "updates_before": before,
            "updates_after": after,
            "loss_before": loss_before,
            "loss_after": loss_after,
            "seeds": len(curves),
        },
    )


def _fall(curves: Sequence[Curve], *, since: float, total_steps: int) -> float | None:
    """By how much the validation loss fell from that share of the run to its end: the median over the seeds."""
    falls = []
    for curve in curves:
        points = [point for point in curve if math.isfinite(point.val_loss)]
        start = [point for point in points if point.step <= since * total_steps]
        if len(points) < MIN_EVALUATIONS or points[-1].step < total_steps or not start:
            continue
        falls.append(start[-1].val_loss - points[-1].val_loss)
    return statistics.median(falls) if len(falls) >= MIN_CURVES else None


def _two_highest(result: StudyResult, *, candidate: Candidate) -> tuple[tuple[int, float], tuple[int, float]] | None:
    """Updates and loss of the candidate's trial at the two highest rungs, on the search's seed."""
    losses = next(trial.losses for trial in result.trials if trial.number == candidate.trial)
    if len(losses) < len(result.rung_steps) or len(losses) < 2:
        return None
    before, after = losses[-2:]
    if before is None or after is None:
        return None
    return (result.rung_steps[-2], before), (result.rung_steps[-1], after)
