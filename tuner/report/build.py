"""The report of a study from its results. Pure: equal results give equal reports."""

from __future__ import annotations

from collections.abc import Iterator

from tuner.report.advice.advise import advise
from tuner.report.analyses.early_stops import early_stops, updates_stopped
from tuner.report.analyses.importances import describe_importances
from tuner.report.analyses.sensitivity import peak_sensitivity
from tuner.report.analyses.transfer import transfer
from tuner.report.candidates import rank
from tuner.report.comparisons.compare import compare_with_rivals
from tuner.report.comparisons.exploration import range_edge
from tuner.report.curves import learning_curves
from tuner.report.evidence import Evidence
from tuner.report.margin import margin_of
from tuner.report.next_steps import next_steps
from tuner.report.report import (
    Candidate,
    Comparison,
    Cost,
    Report,
    Rival,
    RunRow,
    TrialRow,
)
from tuner.report.reservations import reservations
from tuner.report.reuse import reusable
from tuner.report.study_result import StudyResult
from tuner.report.wording import cost_sentence, recommended_sentence, reusable_sentence
from tuner.search.decision.decisions import Role, RunStatus, TrialView


def build_report(result: StudyResult) -> Report:
    """Build the report of a study.

    What is recommended, expected and certain is what `tuner.search.decision.estimates.Estimates` says: the same as in
    the plan and in the progress of the job.

    Args:
        result: The results of a study that has ended.

    Returns:
        The report.

    Raises:
        InvalidValue: No run has finished, so there is nothing to recommend.
    """
    evidence = Evidence.of(result)
    candidates = {candidate.trial: candidate for candidate in rank(evidence)}
    recommended = candidates[evidence.estimates.recommended]
    comparisons = compare_with_rivals(evidence)
    draft = Report(
        job_id=result.job_id,
        job_name=result.job_name,
        workload=result.workload,
        metric=result.metric,
        options=dict(result.options),
        total_steps=result.total_steps,
        end_reason=result.end_reason,
        finding=_finding(evidence, recommended=recommended, comparisons=comparisons),
        recommended=recommended,
        incumbent=next((one for one in candidates.values() if one.role is Role.INCUMBENT), None),
        candidates=tuple(candidates.values()),
        comparisons=comparisons,
        margin=margin_of(evidence),
        reusable=reusable(evidence),
        cost=_cost(result),
        early_stops=early_stops(result, recommended=recommended.trial),
        trials=tuple(_row(trial, result=result) for trial in result.state.trials),
        curves=learning_curves(evidence),
        reservations=(
            *reservations(evidence, recommended=recommended, comparisons=comparisons),
            *filter(None, (result.range_test,)),
        ),
        next_steps=_next_steps(evidence, recommended=recommended, comparisons=comparisons),
        summary=(),
        sensitivity=peak_sensitivity(evidence, trial=recommended.trial),
        importances=describe_importances(result),
        advice=advise(evidence, recommended=recommended),
        transfer=transfer(evidence),
    )
    return draft.model_copy(update={"summary": tuple(_summary(draft))})


def _summary(report: Report) -> Iterator[str]:
    yield report.finding
    yield recommended_sentence(report.recommended, metric=report.metric)
    if report.reusable is not None:
        yield reusable_sentence(report.reusable, candidate=report.candidate(report.reusable.trial))
    yield from (one.sentence for one in report.comparisons if one.sentence != report.finding)
    yield report.margin.sentence
    yield from report.reservations
    yield cost_sentence(report.cost)
    yield from report.next_steps


def _next_steps(evidence: Evidence, *, recommended: Candidate, comparisons: tuple[Comparison, ...]) -> tuple[str, ...]:
    settings = evidence.result.state.settings
    return next_steps(
        job_id=evidence.result.job_id,
        recommended=recommended,
        comparisons=comparisons,
        at_edge=range_edge(evidence, recommended=recommended) is not None,
        budget=settings.budget,
        named_by_user=settings.incumbent is not None,
        compared=_is_compared(evidence),
        margin=margin_of(evidence),
    )


def _is_compared(evidence: Evidence) -> bool:
    """Whether more than one configuration was trained."""
    state = evidence.result.state
    ended = (run for run in state.runs if run.status not in (RunStatus.RUNNING, RunStatus.FAILED))
    return len({evidence.view(run.trial).configuration for run in ended}) > 1


def _finding(evidence: Evidence, *, recommended: Candidate, comparisons: tuple[Comparison, ...]) -> str:
    if not _is_compared(evidence):
        return f"Nothing was compared: one schedule was trained, {recommended.label}."
    return next(one.sentence for one in comparisons if one.rival is Rival.INCUMBENT)


def _cost(result: StudyResult) -> Cost:
    ended = (RunStatus.FINISHED, RunStatus.STOPPED, RunStatus.DIVERGED)
    diverged = [run for run in result.state.runs if run.status is RunStatus.DIVERGED]
    test = result.state.range_test
    tested = 0 if test is None else sum(run.steps for run in test.runs)
    return Cost(
        runs=sum(run.status in ended for run in result.state.runs),
        diverged=len(diverged),
        updates_diverged=sum(map(result.steps_reached, diverged)),
        budget=result.state.settings.budget,
        full_runs=(tested + sum(map(result.steps_spent, result.state.runs))) / result.total_steps,
        updates_spent=result.updates_spent,
        updates_saved=result.updates_saved,
        updates_stopped=updates_stopped(result),
        device_seconds=result.device_seconds,
    )


def _row(trial: TrialView, *, result: StudyResult) -> TrialRow:
    return TrialRow(
        number=trial.number,
        label=trial.configuration.label,
        role=trial.role,
        schedule=trial.configuration.schedule,
        status=trial.status,
        runs=tuple(
            RunRow(
                seed=run.seed,
                status=run.status,
                steps=result.steps_reached(run),
                value=result.metric.value_or_none(run.loss),
            )
            for run in result.runs_of(trial.number)
        ),
        reason=result.reasons.get(trial.number, ""),
    )
