"""The content of the report's pages, ready to be laid out: every number as text."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tuner.exports import paste_in_code, schedule_json
from tuner.metric import Metric
from tuner.report.insights import StoppedRun
from tuner.report.report import Candidate, Comparison, Report, Rival, RunRow, TrialRow, Verdict
from tuner.report.roles import roles_of
from tuner.report.wording import (
    cost_sentence,
    difference_text,
    difference_unit,
    gain_text,
    interval_text,
    measured_text,
    percent_text,
    range_text,
    raw_text,
    sensitivity_basis,
    sensitivity_sentence,
    settling_text,
    steps_text,
)
from tuner.search.decision.decisions import RunStatus


@dataclass(frozen=True, kw_only=True)
class ComparisonLine:
    """One line of the comparison with the rivals."""

    rival: str
    label: str
    gain: str
    interval: str
    steps: str
    verdict: str
    cost: str
    """What it would take to settle it; empty when it is settled."""
    helps: bool


@dataclass(frozen=True, kw_only=True)
class CandidateLine:
    """One line of the table of candidates."""

    trial: int
    label: str
    roles: str
    expected: str
    interval: str
    raw: str
    measured: str
    """The same as a predicate."""


@dataclass(frozen=True, kw_only=True)
class StopLine:
    """One run that was stopped early, or would have been."""

    trial: int
    seed: int
    step: str
    forecast: str
    interval: str
    chance: str
    leader: str
    outcome: str


@dataclass(frozen=True, kw_only=True)
class TrialLine:
    """One line of the table of all trials."""

    number: int
    label: str
    role: str
    runs: str
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SensitivityLine:
    """How far the recommended peak may be off."""

    sentence: str
    basis: str
    points: tuple[tuple[str, str, str, str], ...]
    """Trial, seed, peak, value."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A report as the text of its pages."""

    title: str
    comparisons: tuple[ComparisonLine, ...]
    recommended: CandidateLine
    reusable: CandidateLine | None
    candidates: tuple[CandidateLine, ...]
    stops: tuple[StopLine, ...]
    trials: tuple[TrialLine, ...]
    sensitivity: SensitivityLine | None
    cost: str
    options: str
    code: str
    schedule: str
    helps: bool
    """Whether a change from the incumbent helps."""


def view_of(report: Report) -> View:
    """The text of a report's pages."""
    recommended, metric = report.recommended.schedule, report.metric
    lines = {candidate.trial: _candidate(candidate, report=report) for candidate in report.candidates}
    incumbent = report.comparison(Rival.INCUMBENT)
    return View(
        title=report.job_name or report.workload,
        comparisons=tuple(comparison_line(one, metric=metric) for one in report.comparisons),
        recommended=lines[report.recommended.trial],
        reusable=None if report.reusable is None else lines[report.reusable.trial],
        candidates=tuple(lines.values()),
        stops=tuple(
            _stop(run, metric=metric, audited=audited)
            for runs, audited in ((report.early_stops.stopped, False), (report.early_stops.audited, True))
            for run in runs
        ),
        trials=tuple(_trial(trial, metric=metric, total_steps=report.total_steps) for trial in report.trials),
        sensitivity=_sensitivity(report),
        cost=cost_sentence(report.cost),
        options=json.dumps(report.options, sort_keys=True, ensure_ascii=False),
        code=paste_in_code(recommended, total_steps=report.total_steps),
        schedule=schedule_json(recommended),
        helps=incumbent is not None and incumbent.verdict is Verdict.HELPS,
    )


def comparison_line(comparison: Comparison, *, metric: Metric) -> ComparisonLine:
    """The texts of a comparison."""
    gain = comparison.gain
    lift = percent_text(gain, metric=metric) if gain else ""
    open_question = comparison.verdict is Verdict.NOT_SETTLED and gain is not None
    return ComparisonLine(
        rival=comparison.name,
        label=f"{comparison.label} (forecast)" if comparison.forecast else comparison.label,
        gain=gain_text(gain) + difference_unit(metric) + (f" ({lift})" if lift else "") if gain else "",
        interval=interval_text(gain) if gain else "",
        steps=steps_text(gain.steps) if gain and gain.steps else "",
        verdict=_verdict(comparison),
        cost=settling_text(comparison.cost_to_settle) if open_question else "",
        helps=comparison.verdict is Verdict.HELPS,
    )


def _verdict(comparison: Comparison) -> str:
    if comparison.trial is None:
        return "not trained to the end"
    small = comparison.verdict is Verdict.HELPS and comparison.worth_it is False
    return f"{comparison.verdict.value}, but little" if small else comparison.verdict.value


def _candidate(candidate: Candidate, *, report: Report) -> CandidateLine:
    metric = report.metric
    return CandidateLine(
        trial=candidate.trial,
        label=candidate.label,
        roles=", ".join(roles_of(candidate.trial, report=report)),
        expected="" if candidate.expected is None else metric.text(candidate.expected),
        interval=range_text(candidate, metric=metric),
        raw=raw_text(candidate, metric=metric),
        measured=measured_text(candidate, metric=metric),
    )


def _stop(run: StoppedRun, *, metric: Metric, audited: bool) -> StopLine:
    return StopLine(
        trial=run.trial,
        seed=run.seed,
        step=f"{run.step:,}",
        forecast=metric.text(run.forecast),
        interval=f"{metric.text(run.low)} to {metric.text(run.high)}",
        chance=f"{100 * run.chance:.2g} %",
        leader=f"{metric.text(run.leader)} by {difference_text(run.margin, metric=metric)}",
        outcome=f"trained on: {metric.text(run.value)}" if audited else "stopped",
    )


def _trial(trial: TrialRow, *, metric: Metric, total_steps: int) -> TrialLine:
    return TrialLine(
        number=trial.number,
        label=trial.label,
        role=trial.role.value if trial.role else "",
        runs=", ".join(_run(run, metric=metric, total_steps=total_steps) for run in trial.runs),
        status=trial.status.value,
        reason=trial.reason,
    )


def _run(run: RunRow, *, metric: Metric, total_steps: int) -> str:
    match run.status:
        case RunStatus.FINISHED if run.steps < total_steps:
            return f"{metric.text(run.value)} (ended early at {run.steps:,} of {total_steps:,})"
        case RunStatus.FINISHED:
            return metric.text(run.value)
        case RunStatus.STOPPED:
            return f"stopped at {run.steps:,} (forecast {metric.text(run.value)})"
        case RunStatus.DIVERGED:
            return f"diverged at {run.steps:,}"
        case _:
            return f"{run.status.value} at {run.steps:,}"


def _sensitivity(report: Report) -> SensitivityLine | None:
    found, metric = report.sensitivity, report.metric
    if found is None:
        return None
    return SensitivityLine(
        sentence=sensitivity_sentence(found, metric=metric),
        basis=sensitivity_basis(found),
        points=tuple((str(p.trial), str(p.seed), f"{p.peak_lr:.2e}", metric.text(p.value)) for p in found.points),
    )
