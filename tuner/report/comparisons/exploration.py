"""How widely a study explored the peak rates, on which any claim about schedules depends."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

from tuner.report.comparisons.rivals import is_rival
from tuner.report.evidence import Evidence
from tuner.report.report import Candidate, Rival
from tuner.search.decision.decisions import RunStatus

MIN_PEAKS: Final = 3
"""Distinct peak rates from which a kind of schedule counts as explored: a best one needs a worse one on both sides."""
_AT_EDGE: Final = 1.05
"""Ratio of a peak to the end of the searched range up to which it lies at that end."""


class Edge(StrEnum):
    """The end of the peak rates at which the best one lies."""

    LOWEST = "lowest"
    HIGHEST = "highest"


def peaks_tried(evidence: Evidence, *, rival: Rival | None = None, other_than: Rival | None = None) -> set[float]:
    """The peak rates of the trials with a run that came to an end, diverged and stopped ones included.

    Args:
        evidence: Of the study.
        rival: Those of such schedules alone; ``None`` for all.
        other_than: Without those of such schedules.
    """
    state = evidence.result.state
    ended = {run.trial for run in state.runs if run.status not in (RunStatus.RUNNING, RunStatus.FAILED)}
    return {
        trial.configuration.schedule.peak_lr
        for trial in state.trials
        if trial.number in ended
        and (rival is None or is_rival(trial.number, rival=rival, evidence=evidence))
        and (other_than is None or not is_rival(trial.number, rival=other_than, evidence=evidence))
    }


def edge_of(peak: float, *, peaks: set[float]) -> Edge | None:
    """The end of several peaks that one of them is; ``None`` when it lies between others, or is the only one."""
    if len(peaks) < 2:
        return None
    if math.isclose(peak, min(peaks)):
        return Edge.LOWEST
    return Edge.HIGHEST if math.isclose(peak, max(peaks)) else None


def range_edge(evidence: Evidence, *, recommended: Candidate) -> Edge | None:
    """The end of the searched range at which the recommended peak lies; ``None`` if between."""
    peak, space = recommended.schedule.peak_lr, evidence.result.state.settings.searched_space.peak_lr
    if peak <= space.low * _AT_EDGE:
        return Edge.LOWEST
    return Edge.HIGHEST if peak >= space.high / _AT_EDGE else None
