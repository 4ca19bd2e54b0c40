"""Advice on what to change, each with its evidence; none where the evidence is thin."""

from __future__ import annotations

from collections.abc import Iterator

from tuner.report.advice.endings import advise_on_the_end
from tuner.report.advice.trials import advise_on_floor, advise_on_peak
from tuner.report.advice.warmup import advise_on_warmup
from tuner.report.insights import Advice
from tuner.report.report import Candidate
from tuner.report.study_result import StudyResult


def advise(result: StudyResult, *, recommended: Candidate) -> tuple[Advice, ...]:
    """The changes that would help beyond the recommendation.

    Args:
        result: The study, with the curves of its confirmation runs.
        recommended: The recommended candidate.

    Returns:
        At most one advice of a kind, in the order of a run: warm-up, peak, decay, length.
    """
    return tuple(_advice(result, recommended=recommended))


def _advice(result: StudyResult, *, recommended: Candidate) -> Iterator[Advice]:
    curves = [curve.points for curve in result.curves if curve.trial == recommended.trial]
    yield from advise_on_warmup(
        recommended.schedule, curves=curves, total_steps=result.total_steps, metric=result.metric
    )
    yield from advise_on_peak(result)
    yield from advise_on_floor(result, recommended=recommended)
    yield from advise_on_the_end(result, candidate=recommended, curves=curves)
