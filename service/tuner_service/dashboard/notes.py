"""What the dashboard tells of a study beside Optuna's numbers: notes in Markdown, and the curves. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.jobs.records import JobRecord, RunKind, RunRecord, StudyRecord, TrialRecord
from tuner.jobs.states import RunState
from tuner.report.report import Comparison, Report
from tuner.report.wording import gain_text, interval_text, loss_text
from tuner_service.dashboard.pictures import schedules_figure

MAX_NOTES = 300
"""Trials that have a note: those that came furthest. The page asks for all of them again every few seconds."""
_CURVES = 10
_KINDS = {RunKind.CONFIRM: "confirmation", RunKind.AUDIT: "audit"}

# How optuna-dashboard keeps notes and figures in a study's system attributes; a test reads them back with its own API.
_NOTE, _NOTE_VERSION = "dashboard:note_str:0", "dashboard:note_ver"
_FIGURE = "dashboard:plot_data:learning_rates:0"


def title(job: JobRecord) -> str:
    """What people call a job's study."""
    name = job.spec.name or job.spec.workload
    return f"{name} ({job.id[:8]})"


def attributes(record: StudyRecord, *, report: Report | None, trial_ids: Mapping[int, int]) -> dict[str, Any]:
    """The system attributes that carry a study's notes and its figure.

    Args:
        record: The study, as our tables know it.
        report: The job's answer, if there is one.
        trial_ids: Optuna's ids of the trials by Optuna's number.
    """
    runs = _runs_by_trial(record.runs)
    ranked = sorted(record.trials, key=lambda trial: _rank(runs[trial.number]))
    made: dict[str, Any] = {_NOTE_VERSION: 1, _NOTE: study_note(record, report=report)}
    for trial in ranked[:MAX_NOTES]:
        trial_id = None if trial.optuna_number is None else trial_ids.get(trial.optuna_number)
        if trial_id is not None:
            made[f"dashboard:{trial_id}:note_ver"] = 1
            made[f"dashboard:{trial_id}:note_str:0"] = trial_note(record.job, trial, runs=runs[trial.number])
    if ranked:
        best = [(f"{trial.number}: {trial.configuration.label}", trial.schedule) for trial in ranked[:_CURVES]]
        made[_FIGURE] = schedules_figure(best, total_steps=record.job.spec.search.total_steps)
    return made


def study_note(record: StudyRecord, *, report: Report | None) -> str:
    """What a job asks, and what it has found."""
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
    """A trial's schedule, its picture, what became of its runs, and why."""
    kind = f" ({trial.control} control)" if trial.control else ""
    rows = [
        f"| {_what(run)} | {run.total_steps:,} | {run.seed} | {_result(run)} |"
        for run in sorted(runs, key=lambda run: (run.kind is not RunKind.RUNG, run.kind.value, run.rung, run.seed))
    ]
    return "\n".join(
        [
            f"**{plain(trial.configuration.label)}**{kind}, {trial.state.value}",
            "",
            f"![learning rate](/v1/jobs/{job.id}/trials/{trial.number}/schedule.svg)",
            "",
            "| run | updates | seed | validation loss |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Why: {plain(trial.reason)}",
        ]
    )


def plain(text: str) -> str:
    """Text of any origin as Markdown that shows it, and does nothing else."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&])", r"\\\1", text)


def _report_lines(report: Report) -> list[str]:
    recommended = report.recommended
    lines = [
        f"**{plain(report.finding)}**",
        f"Recommended: **{plain(recommended.label)}** (trial {recommended.trial}), validation loss "
        f"{loss_text(recommended.median if recommended.losses else recommended.search_loss)}.",
    ]
    rivals = [("best constant rate", report.best_constant), ("the default", report.default)]
    rows = [_rival_row(name, comparison) for name, comparison in rivals if comparison is not None]
    if rows:
        lines.append("\n".join(["| against | schedule | gain, 95 % interval | verdict |", "|---|---|---|---|", *rows]))
    cost = report.cost
    lines.append(
        f"The search took {cost.search_updates:,} updates, confirmation {cost.confirm_updates:,}; "
        f"every trial in full would have taken {cost.updates_all_full:,}."
    )
    return lines


def _rival_row(name: str, comparison: Comparison) -> str:
    gain = comparison.gain
    told = "" if gain is None else f"{gain_text(gain)}, {interval_text(gain)}"
    return f"| {name} | {plain(comparison.label)} | {told} | {comparison.verdict.value} |"


def _what(run: RunRecord) -> str:
    return f"rung {run.rung}" if run.kind is RunKind.RUNG else _KINDS[run.kind]


def _result(run: RunRecord) -> str:
    return run.state.value if run.loss is None else loss_text(run.loss)


def _rank(runs: Sequence[RunRecord]) -> tuple[int, float]:
    """The furthest first, and of those the best."""
    results = [(-run.rung, run.loss) for run in runs if run.kind is RunKind.RUNG and run.loss is not None]
    return min(results, default=(1, 0.0))


def _runs_by_trial(runs: Sequence[RunRecord]) -> Mapping[int, list[RunRecord]]:
    by_trial: defaultdict[int, list[RunRecord]] = defaultdict(list)
    for run in runs:
        if run.state is not RunState.CANCELLED:
            by_trial[run.trial_number].append(run)
    return by_trial
