"""The runs that were stopped early, and what the audited ones show of the harm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tuner.metric import Metric
from tuner.report.analyses.raw_pruning import raw_pruning_sentence
from tuner.report.insights import EarlyStops, StoppedRun
from tuner.report.study_result import RunHistory, StudyResult
from tuner.report.wording import runs_text
from tuner.search.decision.decisions import RunStatus, RunView
from tuner.search.pruning.stopping import MAX_CHANCE, ForecastCheck
from tuner.search.settings import PrunerName

_RAW_RISK: Final = "The risk of that: a schedule that holds its rate looks bad until its decay."


def early_stops(result: StudyResult, *, recommended: int) -> EarlyStops:
    """What was stopped and why, and which of the audited runs beat the leader after all.

    Args:
        result: The study.
        recommended: The recommended trial, which pruning on the raw loss might have stopped.
    """
    found = list(_checked(result))
    stopped = tuple(_stopped_run(run, check, metric=result.metric) for run, check in found if _is_stopped(run))
    audited = [(run, check) for run, check in found if not _is_stopped(run)]
    wrong = sum(_beat_leader(run, check) for run, check in audited)
    return EarlyStops(
        stopped=stopped,
        audited=tuple(_stopped_run(run, check, metric=result.metric) for run, check in audited),
        wrong=wrong,
        sentence=" ".join(
            filter(
                None,
                (
                    *_sentences(result, stopped=len(stopped), audited=len(audited), wrong=wrong),
                    _raw_risk(result, checks=[check for run, check in found if _is_stopped(run)])
                    or raw_pruning_sentence(result, recommended=recommended),
                ),
            )
        ),
    )


def updates_stopped(result: StudyResult) -> int:
    """Updates that runs did not execute because they were stopped early."""
    return sum(result.total_steps - result.steps_reached(run) for run in result.state.runs if _is_stopped(run))


def _checked(result: StudyResult) -> Iterator[tuple[RunView, ForecastCheck]]:
    """The runs that were stopped or audited, each with the forecast that left it almost no chance."""
    for run in result.state.runs:
        history: RunHistory | None = result.history(run)
        if history is not None and history.check is not None and (_is_stopped(run) or history.audited):
            yield run, history.check


def _is_stopped(run: RunView) -> bool:
    return run.status is RunStatus.STOPPED


def _beat_leader(run: RunView, check: ForecastCheck) -> bool:
    return run.loss is not None and run.loss < check.leader.mean - check.margin


def _stopped_run(run: RunView, check: ForecastCheck, *, metric: Metric) -> StoppedRun:
    forecast = check.forecast
    low, high = sorted((metric.value(forecast.low), metric.value(forecast.high)))
    return StoppedRun(
        trial=run.trial,
        seed=run.seed,
        step=forecast.step,
        forecast=metric.value(forecast.mean),
        low=low,
        high=high,
        chance=check.chance,
        leader=metric.value(check.leader.mean),
        margin=check.margin,
        value=None if _is_stopped(run) else metric.value_or_none(run.loss),
    )


def _sentences(result: StudyResult, *, stopped: int, audited: int, wrong: int) -> Iterator[str]:
    if not stopped and not audited:
        none, off = "No run was stopped early.", "Stopping early was switched off: every run was trained to its end."
        yield none if result.state.settings.prune else off
        return
    if stopped:
        saved = updates_stopped(result)
        why = "because the forecast of the end left almost no chance to beat the leader by the margin"
        if result.state.settings.pruner is not PrunerName.FORECAST:
            why = f"by pruner {result.state.settings.pruner}, which compares the loss so far with that of other runs"
        yield (
            f"{_runs(stopped)} stopped early, {why}. That saved {saved:,} updates, "
            f"{runs_text(saved / result.total_steps)}."
        )
    if audited:
        if audited == 1:
            outcome = "it beat the leader after all" if wrong else "it did not beat the leader"
        else:
            outcome = f"{wrong or 'none'} of them beat the leader{' after all' if wrong else ''}"
        yield f"{_runs(audited)} trained to the end in spite of such a decision, to see what stopping loses: {outcome}."
    else:
        yield "No such run was trained on to see what stopping loses."


def _raw_risk(result: StudyResult, *, checks: Sequence[ForecastCheck]) -> str:
    """What stopping by the raw loss may have lost, by the forecasts of the runs that it stopped; else empty."""
    if result.state.settings.pruner is PrunerName.FORECAST or not checks:
        return ""
    chances = [check.chance for check in checks if not check.chance < MAX_CHANCE]
    had = f"By the forecasts {len(chances) or 'none'} of {len(checks)} had a chance of 1 % or more to beat the leader"
    if not chances:
        return f"{_RAW_RISK} {had} by the margin: pruner forecast would have stopped them, too."
    lost = f"{sum(chances):.2g} of them would have: pruner forecast trains such runs to their end."
    return f"{_RAW_RISK} {had} by the margin, and {lost}"


def _runs(count: int) -> str:
    return "1 run was" if count == 1 else f"{count} runs were"
