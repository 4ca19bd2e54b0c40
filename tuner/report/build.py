"""The report of a study from its results. Pure: equal results give equal reports, in any order."""

from __future__ import annotations

from tuner.errors import InvalidValue
from tuner.metric import Metric
from tuner.report.advice.advise import advise
from tuner.report.audit import audit_pruning
from tuner.report.candidates import best_in_group, compare, rank
from tuner.report.exploration import explore
from tuner.report.importances import describe_importances
from tuner.report.recommendation import recommend
from tuner.report.report import Candidate, Comparison, Cost, Report, TrialRow, Verdict
from tuner.report.sensitivity import peak_sensitivity
from tuner.report.study_result import StudyResult, TrialResult
from tuner.report.transfer import transfer
from tuner.report.wording import (
    best_sentence,
    cost_sentence,
    default_sentence,
    equivalent_sentence,
    finding,
    options_sentences,
)
from tuner.search.decision.decisions import Control


def build_report(result: StudyResult) -> Report:
    """Build the report of a study.

    The best candidate is the one with the best *confirmed* median, not the best result of the search: the best of
    many noisy numbers is partly luck, and fresh seeds take the luck out.

    Args:
        result: The results of a study that has ended.

    Returns:
        The report.

    Raises:
        InvalidValue: No trial reached the horizon, so there is nothing to recommend.
    """
    candidates = rank(result)
    if not candidates:
        raise InvalidValue("trials", value=len(result.trials), allowed="such that at least one reached the horizon")
    best = candidates[0]
    metric = result.metric
    equivalents = recommend(candidates, metric=metric)
    recommended = next(candidate for candidate in candidates if candidate.trial == equivalents.recommended)
    constant = _against(Control.CONSTANT, candidates=candidates, metric=metric)
    default = _against(Control.DEFAULT, candidates=candidates, metric=metric)
    cost = _cost(result)
    found = finding(constant, exploration=explore(result, candidates=candidates), metric=metric)
    chosen = (best,) if recommended is best else (best, recommended)
    return Report(
        job_id=result.job_id,
        job_name=result.job_name,
        workload=result.workload,
        metric=metric,
        options=dict(result.options),
        total_steps=result.total_steps,
        rung_steps=result.rung_steps,
        why_ended=result.why_ended,
        schedule_helps=constant is not None and constant.verdict is Verdict.BETTER,
        finding=found,
        best=best,
        recommended=recommended,
        candidates=candidates,
        best_constant=constant,
        default=default,
        equivalents=equivalents,
        cost=cost,
        trials=tuple(_row(trial, metric=metric) for trial in sorted(result.trials, key=lambda trial: trial.number)),
        summary=(
            found,
            best_sentence(best, metric=metric),
            default_sentence(default, metric=metric),
            equivalent_sentence(equivalents, recommended=recommended, candidates=candidates),
            cost_sentence(cost, trials=len(result.trials)),
            *options_sentences(best, rival=None if constant is None else _named(constant, candidates=candidates)),
        ),
        sensitivities=tuple(peak_sensitivity(result, candidate=candidate) for candidate in chosen),
        importances=describe_importances(result),
        audit=audit_pruning(result),
        advice=advise(result, recommended=recommended),
        transfer=transfer(result, recommended=recommended),
    )


def _named(comparison: Comparison, *, candidates: tuple[Candidate, ...]) -> Candidate:
    return next(candidate for candidate in candidates if candidate.trial == comparison.trial)


def _against(group: Control, *, candidates: tuple[Candidate, ...], metric: Metric) -> Comparison | None:
    rival = best_in_group(candidates, group=group)
    return None if rival is None else compare(candidates[0], rival=rival, metric=metric)


def _cost(result: StudyResult) -> Cost:
    search_updates = result.updates_spent - result.confirm_updates
    updates_all_full = len(result.trials) * result.total_steps
    return Cost(
        updates_spent=result.updates_spent,
        updates_saved=result.updates_saved,
        search_updates=search_updates,
        confirm_updates=result.confirm_updates,
        updates_all_full=updates_all_full,
        ratio=search_updates / updates_all_full,
    )


def _row(trial: TrialResult, *, metric: Metric) -> TrialRow:
    return TrialRow(
        number=trial.number,
        label=trial.configuration.label,
        control=trial.control,
        rung=len(trial.losses) - 1 if trial.losses else None,
        values=tuple(metric.value_or_none(loss) for loss in trial.losses),
        status=trial.status,
        reason=trial.reason,
    )
