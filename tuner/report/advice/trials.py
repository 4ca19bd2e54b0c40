"""Advice on the peak rate and the floor, from the trials of the search."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from tuner.report.analyses.shapes import distance
from tuner.report.analyses.tolerance import tolerance
from tuner.report.evidence import Evidence
from tuner.report.insights import Advice, AdviceCode
from tuner.report.report import Candidate
from tuner.report.wording import difference_text
from tuner.schedules.lengths import percent
from tuner.search.decision.decisions import TrialView

NEAR_PEAK: Final = 1.5
"""Factor between two peaks up to which two trials are compared for their floor."""
NEAR_SHAPE: Final = 0.05
"""Distance of two shapes, both without their floor, up to which they are."""
MIN_PAIRS: Final = 3


def advise_on_peak(evidence: Evidence) -> Iterator[Advice]:
    """Advise the peak from which runs diverged: for all schedules, or by family where these differ."""
    peaks: defaultdict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for trial in evidence.result.state.trials:
        if evidence.results(trial.number):
            schedule, diverged_at_all = trial.configuration.schedule, evidence.diverged(trial.number) > 0
            peaks[schedule.family.name][diverged_at_all].append(schedule.peak_lr)
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
    numbers = {"lowest_diverged": min(diverged), "diverged_trials": float(len(diverged))}
    for family, (whole, broken) in sorted(peaks.items()):
        if broken:
            numbers[f"lowest_diverged.{family}"] = min(broken)
            numbers |= {f"highest_fine.{family}": max(whole)} if whole else {}
    if highest is not None:
        numbers["highest_fine"] = highest
    yield Advice(code=AdviceCode.DIVERGED_ABOVE, sentence=sentence, evidence=numbers)


def _limits(fine: list[float], diverged: list[float]) -> str:
    count = "1 trial" if len(diverged) == 1 else f"{len(diverged)} trials"
    limit = f"the highest peak that did not was {max(fine):.1e}" if fine else "no lower peak was tried"
    return f"{count} diverged, the lowest at {min(diverged):.1e}; {limit}"


def advise_on_floor(evidence: Evidence, *, recommended: Candidate) -> Iterator[Advice]:
    """Advise a floor of zero where trials with a floor above it did worse than similar trials without one.

    A pair is two trials of one family, with the same options, with peaks and shapes (apart from the floor) that are
    near each other, and a result on the same seed. Every pair must agree, and their median difference must be one that
    counts.

    Args:
        evidence: Of the study.
        recommended: The candidate whose floor is in question.
    """
    if recommended.schedule.floor == 0.0 or recommended.expected is None:
        return
    trials = evidence.result.state.trials
    raised = [trial for trial in trials if trial.configuration.schedule.floor > 0.0]
    costs = [cost for trial in raised for cost in _costs(trial, evidence=evidence)]
    needed = tolerance(recommended.expected, evidence=evidence)[0]
    if len(costs) < MIN_PAIRS or min(costs) <= 0.0 or statistics.median(costs) <= needed:
        return
    cost = statistics.median(costs)
    yield Advice(
        code=AdviceCode.FLOOR_COSTS,
        sentence=f"Decay to zero instead of to {percent(recommended.schedule.floor)}: in all {len(costs)} pairs of "
        "trials that differ in their floor, the one with a floor above zero did worse, by "
        f"{difference_text(cost, metric=evidence.result.metric)} in the median.",
        evidence={"pairs": len(costs), "median_cost": cost, "needed": needed, "floor": recommended.schedule.floor},
    )


def _costs(raised: TrialView, *, evidence: Evidence) -> Iterator[float]:
    """How much worse a trial with a floor is than each similar one without, in the mean over their common seeds."""
    bare = raised.configuration.schedule.model_copy(update={"floor": 0.0})
    ours = _losses(raised, evidence=evidence)
    for other in evidence.result.state.trials:
        schedule = other.configuration.schedule
        if schedule.floor > 0.0 or schedule.family.name != bare.family.name:
            continue
        if other.configuration.options != raised.configuration.options:
            continue
        theirs = _losses(other, evidence=evidence)
        common = ours.keys() & theirs.keys()
        if not common or abs(math.log(schedule.peak_lr / bare.peak_lr)) > math.log(NEAR_PEAK):
            continue
        if distance(bare, schedule, total_steps=evidence.result.total_steps) <= NEAR_SHAPE:
            yield statistics.fmean(ours[seed] - theirs[seed] for seed in sorted(common))


def _losses(trial: TrialView, *, evidence: Evidence) -> dict[int, float]:
    """The losses of its finished runs by seed."""
    return {run.seed: run.loss for run in evidence.results(trial.number) if run.loss is not None}
