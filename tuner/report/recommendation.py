"""What the report recommends: of the statistical ties with the best candidate, the one that is cheapest to reuse."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.metric import Metric
from tuner.report.candidates import compare
from tuner.report.report import Candidate, Comparison, EquivalentSet, Verdict
from tuner.schedules import Constant, Linear, Schedule, Wsd

REUSE_RULE = (
    "Of the configurations that are statistically tied with the best, the one that is cheapest to reuse: a constant "
    "rate, else a wsd schedule, else a linear decay to zero, else the best itself."
)
_REUSE_REASONS = (
    "a constant rate needs no horizon: training can stop or go on at any update",
    "before its cooldown it is a constant rate: training can go on from there, and cool down at any later update",
    "linear decay to zero has nothing to set but its peak and warm-up, and every framework has it",
    "it has the best confirmed result, and no simpler schedule is as good",
)
_MIN_SEEDS = 2  # below, there is no interval


def recommend(candidates: Sequence[Candidate], *, metric: Metric) -> EquivalentSet:
    """The statistical ties with the best candidate, and the one of them that is cheapest to reuse.

    Args:
        candidates: Ranked; at least one.
        metric: What their values are of.
    """
    best = candidates[0]
    comparisons = [compare(best, rival=candidate, metric=metric) for candidate in candidates]
    members = [
        (candidate, comparison)
        for candidate, comparison in zip(candidates, comparisons, strict=True)
        if candidate is best or _equals_best(candidate, comparison=comparison)
    ]
    recommended = min((candidate for candidate, _ in members), key=lambda candidate: _reuse(candidate.schedule))
    return EquivalentSet(
        members=tuple(comparison for _, comparison in members),
        recommended=recommended.trial,
        rule=REUSE_RULE,
        reason=_REUSE_REASONS[_reuse(recommended.schedule)],
    )


def _equals_best(candidate: Candidate, *, comparison: Comparison) -> bool:
    return comparison.verdict is Verdict.TIED and comparison.seeds >= _MIN_SEEDS and not candidate.diverged


def _reuse(schedule: Schedule) -> int:
    """Index into the reasons for reusing a schedule; lower is cheaper."""
    family = schedule.family
    if isinstance(family, Constant):
        return 0
    if isinstance(family, Wsd):
        return 1
    if isinstance(family, Linear) and schedule.floor == 0.0:
        return 2
    return 3
