"""Advice on the peak rate and the floor, from the trials of the search."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from tuner.report.insights import Advice, AdviceCode
from tuner.report.report import Candidate
from tuner.report.shapes import distance
from tuner.report.study_result import StudyResult, TrialResult
from tuner.report.tolerance import tolerance
from tuner.report.wording import difference_text
from tuner.schedules.lengths import percent

NEAR_PEAK: Final = 1.5
"""Factor between two peaks up to which two trials are compared for their floor."""
NEAR_SHAPE: Final = 0.05
"""Distance of two shapes, both without their floor, up to which they are."""
MIN_PAIRS: Final = 3


def advise_on_peak(result: StudyResult) -> Iterator[Advice]:
    """Advise the peak from which runs diverged: for all schedules, or by family where these differ.

    Args:
        result: The study.
    """
    peaks: defaultdict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for trial in result.trials:
        results = [*trial.losses, *result.confirmations.get(trial.number, {}).values()]
        if results:
            peaks[trial.schedule.family.name][None in results].append(trial.schedule.peak_lr)
    fine = [peak for whole, _ in peaks.values() for peak in whole]
    diverged = [peak for _, broken in peaks.values() for peak in broken]
    if not diverged:
        return
    highest = max(fine, default=None)
    if highest is None or highest < min(diverged):
        sentence = f"Keep the peak below {min(diverged):.1e}: {_limits(fine, diverged)}."
    else:
        families = [
            f"{family}: {_limits(whole, broken)}" for family, (whole, broken) in sorted(peaks.items()) if broken
        ]
        sentence = f"Runs diverged at high peaks. By family, {'; '.join(families)}."
    evidence = {"lowest_diverged": min(diverged), "diverged_trials": float(len(diverged))}
    for family, (whole, broken) in sorted(peaks.items()):
        if broken:
            evidence[f"lowest_diverged.{family}"] = min(broken)
            evidence |= {f"highest_fine.{family}": max(whole)} if whole else {}
    if highest is not None:
        evidence["highest_fine"] = highest
    yield Advice(code=AdviceCode.DIVERGED_ABOVE, sentence=sentence, evidence=evidence)


def _limits(fine: list[float], diverged: list[float]) -> str:
    count = "1 trial" if len(diverged) == 1 else f"{len(diverged)} trials"
    limit = f"the highest peak that did not was {max(fine):.1e}" if fine else "no lower peak was tried"
    return f"{count} diverged, the lowest at {min(diverged):.1e}; {limit}"


def advise_on_floor(result: StudyResult, *, recommended: Candidate) -> Iterator[Advice]:
    """Advise a floor of zero where trials with a floor above it did worse than similar trials without one.

    A pair is two trials of one family, with the same options, at the highest rung that both have a loss at, with peaks
    and shapes (apart from the floor) that are near each other. Every pair must agree, and their median difference must
    be one that counts.

    Args:
        result: The study.
        recommended: The candidate whose floor is in question; its noise is the measure.
    """
    if recommended.schedule.floor == 0.0 or recommended.median is None:
        return
    costs = [cost for raised in result.trials if raised.schedule.floor > 0.0 for cost in _costs(raised, result=result)]
    needed = tolerance(recommended, value=recommended.median)[0]
    if len(costs) < MIN_PAIRS or min(costs) <= 0.0 or statistics.median(costs) <= needed:
        return
    cost = statistics.median(costs)
    yield Advice(
        code=AdviceCode.FLOOR_COSTS,
        sentence=f"Decay to zero instead of to {percent(recommended.schedule.floor)}: in all {len(costs)} pairs of "
        "trials that differ in their floor, the one with a floor above zero did worse, by "
        f"{difference_text(cost, metric=result.metric)} in the median.",
        evidence={"pairs": len(costs), "median_cost": cost, "needed": needed, "floor": recommended.schedule.floor},
    )


def _costs(raised: TrialResult, *, result: StudyResult) -> Iterator[float]:
    """How much worse a trial with a floor is than each similar one without."""
    bare = raised.schedule.model_copy(update={"floor": 0.0})
    for other in result.trials:
        schedule = other.schedule
        rung = min(len(raised.losses), len(other.losses)) - 1
        if rung < 0 or schedule.floor > 0.0 or schedule.family.name != bare.family.name:
            continue
        if other.configuration.options != raised.configuration.options:
            continue
        ours, theirs = raised.losses[rung], other.losses[rung]
        if ours is None or theirs is None or abs(math.log(schedule.peak_lr / bare.peak_lr)) > math.log(NEAR_PEAK):
            continue
        if distance(bare, schedule, total_steps=result.total_steps) <= NEAR_SHAPE:
            yield ours - theirs
