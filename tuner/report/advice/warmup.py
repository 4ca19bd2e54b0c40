"""Advice on the warm-up, from a metric or training loss that worsens where it ends."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tuner.jobs.records import CurvePoint
from tuner.metric import Metric
from tuner.report.insights import Advice, AdviceCode
from tuner.schedules import Schedule
from tuner.schedules.lengths import percent

SPIKE: Final = 0.1
"""Rise above the lowest loss before it, as a share of the whole descent of the run, from which it is a spike."""
EARLY: Final = 0.3
"""Share of the run, from the end of the warm-up on, in which a spike is attributed to the warm-up."""
LONGEST: Final = 0.3
"""Share of the run that no advised warm-up exceeds."""
MIN_CURVES: Final = 2

Curve = Sequence[CurvePoint]


def advise_on_warmup(
    schedule: Schedule, *, curves: Sequence[Curve], total_steps: int, metric: Metric
) -> Iterator[Advice]:
    """Advise a longer warm-up where the run worsens right after it, on at least half of the seeds.

    Args:
        schedule: At the full horizon.
        curves: Of its runs on several seeds.
        total_steps: The horizon.
        metric: What the curves' validation losses stand for.
    """
    if len(curves) < MIN_CURVES or not schedule.family.starts_at_peak:
        return
    warmup = schedule.warmup.length(total_steps) if schedule.warmup.shape != "none" else 0
    until = warmup + EARLY * total_steps
    spikes = [spike for curve in curves if (spike := _highest_spike(curve, after=warmup, until=until)) is not None]
    if 2 * len(spikes) < len(curves):
        return
    at = int(statistics.median(step for step, _ in spikes))
    longer = min(max(2 * warmup, at), math.floor(LONGEST * total_steps))
    if longer <= warmup:
        return
    rise = max(share for _, share in spikes)
    yield Advice(
        code=AdviceCode.LENGTHEN_WARMUP,
        sentence=f"Lengthen the warm-up to about {longer:,} updates ({percent(round(longer / total_steps, 3))}): after "
        f"its {warmup:,} updates the {metric.name} or the training loss worsens again, by as much as "
        f"{100 * rise:.0f} % of its whole improvement (around update {at:,}; on {len(spikes)} of {len(curves)} seeds).",
        evidence={
            "warmup_updates": warmup,
            "advised_updates": longer,
            "spike_update": at,
            "largest_rise": rise,
            "seeds_with_spike": len(spikes),
            "seeds": len(curves),
        },
    )


def _highest_spike(curve: Curve, *, after: float, until: float) -> tuple[int, float] | None:
    """Update and relative height of the larger spike, of the validation or the training loss."""
    found = [
        spike
        for loss_of in (_validation, _training)
        if (spike := _spike(curve, loss_of=loss_of, after=after, until=until)) is not None
    ]
    return max(found, key=lambda spike: spike[1], default=None)


def _spike(
    curve: Curve, *, loss_of: Callable[[CurvePoint], float | None], after: float, until: float
) -> tuple[int, float] | None:
    points = [(point.step, loss) for point in curve if (loss := loss_of(point)) is not None and math.isfinite(loss)]
    if len(points) < 3:  # a loss before, the spike, and one after it
        return None
    descent = max(loss for _, loss in points) - min(loss for _, loss in points)
    if not descent > 0.0:
        return None
    lowest, best = points[0][1], None
    for step, loss in points[1:-1]:
        rise = (loss - lowest) / descent
        if after <= step <= until and rise >= SPIKE and (best is None or rise > best[1]):
            best = (step, rise)
        lowest = min(lowest, loss)
    return best


def _validation(point: CurvePoint) -> float | None:
    return point.val_loss


def _training(point: CurvePoint) -> float | None:
    return point.train_loss
