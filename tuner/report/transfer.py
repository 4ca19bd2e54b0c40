"""Transfer to a longer run: which parts of a recommendation hold for another horizon, and which need a check."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from tuner.report.insights import PeakDrift, Transfer
from tuner.report.peak_fit import best_peak, points_at, similar_trials
from tuner.report.report import Candidate
from tuner.report.study_result import StudyResult
from tuner.schedules import Constant

_THEORY: Final = -0.5
"""Power of the horizon that the best peak follows in convex theory (`tuner.search.sampler.convex_bound`).
Trainings follow it less, as far as was seen (docs/benchmarks.md)."""


def transfer(result: StudyResult, *, recommended: Candidate) -> Transfer:
    """What transfers from the recommended schedule when training takes `StudyResult.longer` times as many updates.

    Args:
        result: The study.
        recommended: One of its candidates.
    """
    total_steps = round(result.longer * result.total_steps)
    drift = _drift(result, candidate=recommended)
    expected = None
    if drift is not None:
        power = math.log(drift.factor) / math.log(drift.to_updates / drift.from_updates)
        expected = result.longer**power
    found = Transfer(
        ratio=result.longer,
        total_steps=total_steps,
        peak_low=result.longer**_THEORY,
        peak_high=1.0,
        drift=drift,
        expected=expected,
        sentences=(),
    )
    return found.model_copy(update={"sentences": tuple(_sentences(result, found=found, recommended=recommended))})


def _drift(result: StudyResult, *, candidate: Candidate) -> PeakDrift | None:
    """How the best peak of schedules like a candidate moved, from the lowest rung with a fit to the highest."""
    similar, peak_lr = similar_trials(result, candidate=candidate), candidate.schedule.peak_lr

    def _best_peak(rung: int) -> float | None:
        points = points_at(similar, peak_lr=peak_lr, rung=rung, metric=result.metric)
        return best_peak(points, peak_lr=peak_lr, metric=result.metric)

    best = [(steps, peak) for rung, steps in enumerate(result.rung_steps) if (peak := _best_peak(rung)) is not None]
    if len(best) < 2:
        return None
    (shorter, before), (longer, after) = best[0], best[-1]
    return PeakDrift(from_updates=shorter, to_updates=longer, factor=after / before)


def _sentences(result: StudyResult, *, found: Transfer, recommended: Candidate) -> Iterator[str]:
    schedule = recommended.schedule
    yield f"For {found.total_steps:,} updates, {found.ratio:g} times as many:"
    if isinstance(schedule.family, Constant):
        yield "a constant rate needs no horizon: training can simply go on."
    else:
        yield "the shape carries over, its lengths being fractions of the run."
    before, after = (schedule.warmup.length(steps) for steps in (result.total_steps, found.total_steps))
    if after > before:
        yield (
            f"Its warm-up would take {after:,} updates; the {before:,} that were enough here may be enough there, so "
            "try both."
        )
    low, high = (schedule.peak_lr * factor for factor in (found.peak_low, found.peak_high))
    yield (
        f"The peak needs a check: longer runs tend to need a lower one, between {low:.1e} (theory: it falls with the "
        f"square root of the length) and {high:.1e} (as it is)."
    )
    if found.drift is not None and found.expected is not None:
        yield (
            f"In this search the best peak of such schedules went by a factor of {found.drift.factor:.2g} from "
            f"{found.drift.from_updates:,} to {found.drift.to_updates:,} updates; carried on, that makes "
            f"{schedule.peak_lr * found.expected:.1e}."
        )
    yield f"`tuner submit --from JOB --total-steps {found.total_steps}` checks it, starting with what was found here."
