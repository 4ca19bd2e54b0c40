"""Notes in Markdown and a figure of the learning rates, which the dashboard shows with a study. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.jobs.records import JobRecord, RunKind, RunRecord, StudyRecord, TrialRecord
from tuner.jobs.states import RunState
from tuner.report.report import Comparison, Report
from tuner.report.wording import gain_text, interval_text
from tuner_service.dashboard.pictures import schedules_figure

MAX_NOTES = 300
"""Number of trials with a note, those of the highest rung first. The page requests all notes every few seconds."""
_CURVES = 10
_KINDS = {RunKind.CONFIRM: "confirmation", RunKind.AUDIT: "audit"}

# System attributes in which optuna-dashboard stores notes and figures; a test reads them back with its API.
_NOTE, _NOTE_VERSION = "dashboard:note_str:0", "dashboard:note_ver"
_FIGURE = "dashboard:plot_data:learning_rates:0"
_METRIC_NAMES = "study:metric_names"


def title(job: JobRecord) -> str:
    """The title of a job's study."""
    name = job.spec.name or job.spec.workload
    return f"{name} ({job.id[:8]})"


def attributes(record: StudyRecord, *, report: Report | None, trial_ids: Mapping[int, int]) -> dict[str, Any]:
    """The system attributes that carry a study's notes and its figure.

    Args:
        record: The study in the service's tables.
        report: The job's report, if there is one.
        trial_ids: Optuna's ids of the trials by Optuna's number.
    """
    runs = _runs_by_trial(record.runs)
    ranked = sorted(record.trials, key=lambda trial: _rank(runs[trial.number]))
    values: dict[str, Any] = {
        _METRIC_NAMES: [record.job.metric.name],
        _NOTE_VERSION: 1,
        _NOTE: study_note(record, report=report),
    }
    for trial in ranked[:MAX_NOTES]:
        trial_id = None if trial.optuna_number is None else trial_ids.get(trial.optuna_number)
        if trial_id is not None:
            values[f"dashboard:{trial_id}:note_ver"] = 1
            values[f"dashboard:{trial_id}:note_str:0"] = trial_note(record.job, trial, runs=runs[trial.number])
    if ranked:
        best = [(f"{trial.number}: {trial.configuration.label}", trial.schedule) for trial in ranked[:_CURVES]]
        values[_FIGURE] = schedules_figure(best, total_steps=record.job.spec.search.total_steps)
    return values


def study_note(record: StudyRecord, *, report: Report | None) -> str:
    """The note of a study: the job and its results."""
    job, spec = record.job, record.job.spec
    lines = [
        f"## {plain(title(job))}",
        f"Workload **{plain(spec.workload)}**, {spec.search.total_steps:,} updates, {spec.search.trials} trials. "
        f"Team {plain(spec.team)}, submitted by {plain(job.owner)}, **{job.state.value}**.",
    ]
    if spec.notes:
        lines.append("> " + plain(spec.notes).replace("\n", "\n> "))
    if job.error:
        lines.append(f"Ended with: {plain(job.error.splitlines()[0])}")
    if report is None:
        lines.append("There is no report yet." if job.finished_at is None else "There is no report.")
    else:
        lines += _report_lines(report)
    lines.append(f"[The job](/v1/jobs/{job.id}) · [its runs](/v1/jobs/{job.id}/runs)")
    return "\n\n".join(lines)


def trial_note(job: JobRecord, trial: TrialRecord, *, runs: Sequence[RunRecord]) -> str:
    """The note of a trial: its schedule with a plot, its runs, and the reasons."""
    kind = f" ({trial.control} control)" if trial.control else ""
    rows = [
        f"| {_purpose(run)} | {run.total_steps:,} | {run.seed} | {_result(run)} |"
        for run in sorted(runs, key=lambda run: (run.kind is not RunKind.RUNG, run.kind.value, run.rung, run.seed))
    ]
    return "\n".join(
        [
            f"**{plain(trial.configuration.label)}**{kind}, {trial.state.value}",
            "",
            f"![learning rate](/v1/jobs/{job.id}/trials/{trial.number}/schedule.svg)",
            "",
            f"| run | updates | seed | {plain(job.metric.name)} |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Why: {plain(trial.reason)}",
        ]
    )


def plain(text: str) -> str:
    """Escapes text for Markdown."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&])", r"\\\1", text)


def _report_lines(report: Report) -> list[str]:
    recommended = report.recommended
    lines = [
        f"**{plain(report.finding)}**",
        f"Recommended: **{plain(recommended.label)}** (trial {recommended.trial}), "
        f"{plain(report.metric.name)} "
        f"{plain(report.metric.text(recommended.median if recommended.values else recommended.search_value))}.",
    ]
    comparisons = [("best constant rate", report.best_constant), ("the default", report.default)]
    rows = [_comparison_row(name, comparison) for name, comparison in comparisons if comparison is not None]
    if rows:
        lines.append("\n".join(["| against | schedule | gain, 95 % interval | verdict |", "|---|---|---|---|", *rows]))
    cost = report.cost
    lines.append(
        f"The search took {cost.search_updates:,} updates, confirmation {cost.confirm_updates:,}; "
        f"every trial in full would have taken {cost.updates_all_full:,}."
    )
    return lines


def _comparison_row(name: str, comparison: Comparison) -> str:
    gain = comparison.gain
    interval = "" if gain is None else f"{gain_text(gain)}, {interval_text(gain)}"
    return f"| {name} | {plain(comparison.label)} | {interval} | {comparison.verdict.value} |"


def _purpose(run: RunRecord) -> str:
    return f"rung {run.rung}" if run.kind is RunKind.RUNG else _KINDS[run.kind]


def _result(run: RunRecord) -> str:
    return run.state.value if run.value is None else plain(run.metric.text(run.value))


def _rank(runs: Sequence[RunRecord]) -> tuple[int, float]:
    """Sort key: the highest rung first, then the lowest loss."""
    results = [(-run.rung, run.loss) for run in runs if run.kind is RunKind.RUNG and run.loss is not None]
    return min(results, default=(1, 0.0))


def _runs_by_trial(runs: Sequence[RunRecord]) -> Mapping[int, list[RunRecord]]:
    by_trial: defaultdict[int, list[RunRecord]] = defaultdict(list)
    for run in runs:
        if run.state is not RunState.CANCELLED:
            by_trial[run.trial_number].append(run)
    return by_trial
