"""A schedule that is cheaper to reuse than the recommended one, offered beside it when it is shown to be as good."""

from __future__ import annotations

from typing import Final

from tuner.report.evidence import Evidence
from tuner.report.report import Reusable
from tuner.schedules import Constant, Linear, Schedule, Wsd

_REASONS: Final = (
    "A constant rate needs no horizon: training can stop or go on at any update.",
    "Before its cooldown it is a constant rate: training can go on from there, and cool down at any later update.",
    "Linear decay to zero has nothing to set but its peak and warm-up, and every framework has it.",
)


def reusable(evidence: Evidence) -> Reusable | None:
    """The schedule that is cheapest to reuse among those that are shown not to be worse by the margin.

    A constant rate is cheapest, then a WSD schedule, then linear decay to zero. *Shown* means that the 95 % interval of
    the difference to the recommended schedule lies below the margin: noise alone never suffices.

    Returns:
        ``None`` when no such schedule is cheaper than the recommended one.
    """
    recommended, estimates = evidence.estimates.recommended, evidence.estimates
    if evidence.diverged(recommended) or not evidence.noise_is_known:
        return None
    found = [
        (rank, trial)
        for trial in evidence.stable
        if (rank := _rank(evidence.view(trial).configuration.schedule)) < _rank_of(recommended, evidence=evidence)
        and estimates.difference(trial, to=recommended).high < estimates.margin
    ]
    if not found:
        return None
    # The trials are in the order of their expected losses, and min takes the first of equals.
    rank, trial = min(found, key=lambda one: one[0])
    return Reusable(trial=trial, reason=_REASONS[rank])


def _rank_of(trial: int, *, evidence: Evidence) -> int:
    return _rank(evidence.view(trial).configuration.schedule)


def _rank(schedule: Schedule) -> int:
    """Index into the reasons, lower is cheaper; their number for a schedule that has none."""
    family = schedule.family
    if isinstance(family, Constant):
        return 0
    if isinstance(family, Wsd):
        return 1
    if isinstance(family, Linear) and schedule.floor == 0.0:
        return 2
    return len(_REASONS)
