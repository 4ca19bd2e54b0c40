"""Advice on what to change, each with its evidence; none where the evidence is thin."""

from __future__ import annotations

from collections.abc import Iterator

from tuner.report.advice.endings import advise_on_decay, advise_on_length
from tuner.report.advice.trials import advise_on_floor, advise_on_peak
from tuner.report.advice.warmup import advise_on_warmup
from tuner.report.evidence import Evidence
from tuner.report.insights import Advice
from tuner.report.report import Candidate
from tuner.search.decision.decisions import RunStatus


def advise(evidence: Evidence, *, recommended: Candidate) -> tuple[Advice, ...]:
    """The changes that would help beyond the recommendation.

    Args:
        evidence: Of the study.
        recommended: The recommended candidate.

    Returns:
        At most one advice of a kind, in the order of a run: warm-up, peak, decay, length.
    """
    return tuple(_advice(evidence, recommended=recommended))


def _advice(evidence: Evidence, *, recommended: Candidate) -> Iterator[Advice]:
    result = evidence.result
    finished = (run for run in evidence.results(recommended.trial) if run.status is RunStatus.FINISHED)
    curves = [history.points for run in finished if (history := result.history(run)) is not None and history.points]
    yield from advise_on_warmup(
        recommended.schedule, curves=curves, total_steps=result.total_steps, metric=result.metric
    )
    yield from advise_on_peak(evidence)
    yield from advise_on_floor(evidence, recommended=recommended)
    yield from advise_on_decay(evidence, recommended=recommended, curves=curves)
    yield from advise_on_length(evidence, recommended=recommended)
