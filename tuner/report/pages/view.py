"""The content of the report's pages, ready to be laid out: every number as text."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tuner.exports import paste_in_code, schedule_json
from tuner.metric import Metric
from tuner.report.candidates import compare
from tuner.report.report import Candidate, Report, TrialRow, Verdict
from tuner.report.wording import (
    cost_sentence,
    gain_text,
    interval_text,
    percent_text,
    range_text,
    sensitivity_basis,
    sensitivity_sentence,
)

_VERDICTS = {
    Verdict.SAME: "the best",
    Verdict.BETTER: "worse than the best",
    Verdict.TIED: "statistical tie with the best",
    Verdict.WORSE: "better than the best",
}


@dataclass(frozen=True, kw_only=True)
class CandidateLine:
    """One line of the comparison."""

    trial: int
    label: str
    roles: str
    search_value: str
    median: str
    range: str
    gain: str
    interval: str
    wins: str
    verdict: str


@dataclass(frozen=True, kw_only=True)
class TrialLine:
    """One line of the table of all trials."""

    number: int
    label: str
    control: str
    values: tuple[str, ...]
    """One per rung; empty for rungs that it did not reach."""
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SensitivityLine:
    """How far a candidate's peak may be off."""

    trial: int
    label: str
    sentence: str
    basis: str
    points: tuple[tuple[str, str, str], ...]
    """Trial, peak, value."""
    drawn: bool


@dataclass(frozen=True, kw_only=True)
class View:
    """A report as the text of its pages."""

    title: str
    candidates: tuple[CandidateLine, ...]
    rungs: tuple[str, ...]
    trials: tuple[TrialLine, ...]
    sensitivities: tuple[SensitivityLine, ...] | None
    cost: str
    options: str
    code: str
    schedule: str


def view_of(report: Report) -> View:
    """The text of a report's pages."""
    recommended = report.recommended.schedule
    sensitivities, metric = report.sensitivities, report.metric
    return View(
        title=report.job_name or report.workload,
        candidates=tuple(_candidate(candidate, report=report) for candidate in report.candidates),
        rungs=tuple(f"{steps:,}" for steps in report.rung_steps),
        trials=tuple(_trial(trial, rungs=len(report.rung_steps), metric=metric) for trial in report.trials),
        sensitivities=None
        if sensitivities is None
        else tuple(
            SensitivityLine(
                trial=one.trial,
                label=report.candidate(one.trial).label,
                sentence=sensitivity_sentence(one, metric=metric),
                basis=sensitivity_basis(one, rung_steps=report.rung_steps),
                points=tuple((str(p.trial), f"{p.peak_lr:.2e}", metric.text(p.value)) for p in one.points),
                drawn=bool(one.points),
            )
            for one in sensitivities
        ),
        cost=cost_sentence(report.cost, trials=len(report.trials)),
        options=json.dumps(report.options, sort_keys=True, ensure_ascii=False),
        code=paste_in_code(recommended, total_steps=report.total_steps),
        schedule=schedule_json(recommended),
    )


def _candidate(candidate: Candidate, *, report: Report) -> CandidateLine:
    metric = report.metric
    comparison = compare(report.best, rival=candidate, metric=metric)
    is_best = comparison.verdict is Verdict.SAME
    gain = None if is_best else comparison.gain
    lift = percent_text(gain) if gain else ""
    return CandidateLine(
        trial=candidate.trial,
        label=candidate.label,
        roles=", ".join(_roles(candidate, report=report)),
        search_value="" if candidate.search_value is None else metric.text(candidate.search_value),
        median=_median(candidate, metric=metric),
        range=range_text(candidate, metric=metric) if candidate.values else "",
        gain=gain_text(gain) + (f" ({lift})" if lift else "") if gain else "",
        interval=interval_text(gain) if gain else "",
        wins="" if is_best else f"{comparison.wins} of {comparison.seeds}",
        verdict=_VERDICTS[comparison.verdict],
    )


def _median(candidate: Candidate, *, metric: Metric) -> str:
    if not candidate.values:
        return "not confirmed"
    return (
        f"diverged on {candidate.diverged} of {len(candidate.values)}"
        if candidate.diverged
        else metric.text(candidate.median)
    )


def _roles(candidate: Candidate, *, report: Report) -> list[str]:
    equivalents = {member.trial for member in report.equivalents.members}
    named = (
        ("best", report.best.trial),
        ("recommended", report.recommended.trial),
        ("best constant rate", report.best_constant and report.best_constant.trial),
        ("default", report.default and report.default.trial),
    )
    roles = [role for role, trial in named if trial == candidate.trial]
    return roles + (["equivalent"] if candidate.trial in equivalents and candidate.trial != report.best.trial else [])


def _trial(trial: TrialRow, *, rungs: int, metric: Metric) -> TrialLine:
    values = [metric.text(value) for value in trial.values]
    return TrialLine(
        number=trial.number,
        label=trial.label,
        control=trial.control.value if trial.control else "",
        values=(*values, *[""] * (rungs - len(values))),
        status=trial.status.value,
        reason=trial.reason,
    )
