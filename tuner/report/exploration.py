"""How widely a study explored the peak rates, on which any claim about schedules depends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tuner.report.report import Candidate
from tuner.report.study_result import StudyResult
from tuner.schedules import Constant, Schedule

MIN_PEAKS: Final = 3
"""Distinct peak rates from which a side counts as explored: a best one needs a worse one below and one above."""
ENOUGH_TRIALS: Final = 15
"""Trials from which the controls of a search hold `MIN_PEAKS` constant rates."""


class Edge(StrEnum):
    """The end of the tried peak rates at which the best one lies."""

    LOWEST = "lowest"
    HIGHEST = "highest"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the comparison: the constant rates, or all other schedules."""

    peaks: int
    """Distinct peak rates with a result, that of a trial which was pruned or diverged included."""
    best_peak: float | None
    """That of the side's best-ranked candidate; ``None`` when it has no candidate."""
    edge: Edge | None
    """The end at which ``best_peak`` lies; ``None`` when between others, or with fewer than `MIN_PEAKS` peaks."""

    @property
    def explored(self) -> bool:
        """Whether enough peak rates were tried for a claim."""
        return self.peaks >= MIN_PEAKS


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """Both sides of the comparison, and the number of trials."""

    constant: Side
    others: Side
    trials: int


def explore(result: StudyResult, *, candidates: Sequence[Candidate]) -> Exploration:
    """Determine which peak rates were tried, and where the best of them lie.

    Args:
        result: The study.
        candidates: Its candidates, ranked.

    Returns:
        Both sides.
    """
    return Exploration(
        constant=_side(result, candidates=candidates, constant=True),
        others=_side(result, candidates=candidates, constant=False),
        trials=len(result.trials),
    )


def _side(result: StudyResult, *, candidates: Sequence[Candidate], constant: bool) -> Side:
    peaks = {
        trial.schedule.peak_lr
        for trial in result.trials
        if _is_constant(trial.schedule) is constant and (trial.losses or result.confirmations.get(trial.number))
    }
    ranked = (candidate.schedule for candidate in candidates if _is_constant(candidate.schedule) is constant)
    best = next((schedule.peak_lr for schedule in ranked), None)
    return Side(peaks=len(peaks), best_peak=best, edge=_edge(best, peaks=peaks))


def _edge(best: float | None, *, peaks: set[float]) -> Edge | None:
    if best is None or len(peaks) < MIN_PEAKS:
        return None
    return {min(peaks): Edge.LOWEST, max(peaks): Edge.HIGHEST}.get(best)


def _is_constant(schedule: Schedule) -> bool:
    return isinstance(schedule.family, Constant)
