"""Notes in Markdown and a figure of the learning rates, which the dashboard shows with a study. Pure."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.jobs.records import JobRecord, RunRecord, StudyRecord, TrialRecord
from tuner.jobs.states import RunState
from tuner.report.pages.markdown import plain as escaped
from tuner.report.report import Comparison, Report
from tuner.report.wording import gain_text, interval_text
from tuner.text import one_line
from tuner_service.dashboard.pictures import schedules_figure

MAX_NOTES = 300
"""Number of trials with a note, those with the best results first. The page requests all notes every few seconds."""
_CURVES = 10

# System attributes in which optuna-dashboard stores notes and figures; a test reads them back with its API.
_NOTE, _NOTE_VERSION = "dashboard:note_str:0", "dashboard:note_ver"
_FIGURE = "dashboard:plot_data:learning_rates:0"
_METRIC_NAMES = "study:metric_names"


def title(job: JobRecord) -> str:
    """The title of a job's study."""
    name = one_line(job.spec.name or job.spec.workload)
    return f"{name} ({job.id[:8]})"


def attributes(record: StudyRecord, *, report: Report | None, trial_ids: Mapping[int, int]) -> dict[str, Any]:
    """The system attributes that carry a study's notes and its figure.

    Args:
        record: The study in the service's tables.
        report: The job's report, if there is one.
        trial_ids: Optuna's ids of the trials by Optuna's number.
    """
    runs = _runs_by_trial(record.runs)
    first = recommended(record, report=report)
    ranked = sorted(record.trials, key=lambda trial: (trial != first, _rank(runs[trial.number])))
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
        known = [trial for trial in ranked if not trial.schedule.follows_loss]  # the rates of the others are a run's
        best = [(_short(trial), trial.configuration.label, trial.schedule) for trial in known[:_CURVES]]
        values[_FIGURE] = schedules_figure(best, total_steps=record.job.spec.search.total_steps)
    return values


def recommended(record: StudyRecord, *, report: Report | None) -> TrialRecord | None:
    """The trial that the job recommends: that of its report, or so far; ``None`` while there is none."""
    best = record.job.best
    number = report.recommended.trial if report is not None else None if best is None else best.trial
    return next((trial for trial in record.trials if trial.number == number), None)


def study_note(record: StudyRecord, *, report: Report | None) -> str:
    """The note of a study: the job and its results."""
    job, spec = record.job, record.job.spec
    lines = [
        f"## {plain(title(job))}",
        f"Workload **{plain(spec.workload)}**, {spec.search.total_steps:,} updates, budget {spec.search.budget:g} "
        f"full runs. "
        f"Team {plain(spec.team)}, submitted by {plain(job.owner)}, **{job.state.value}**.",
    ]
    if spec.notes:
        lines.append("\n".join(f"> {plain(line)}" for line in spec.notes.splitlines()))
    if job.error:
        lines.append(f"Ended with: {plain(job.error.splitlines()[0])}")
    lines += _so_far(job) if report is None else _report_lines(report)
    if recommended(record, report=report) is not None:
        lines.append(
            "The best trial of this page is the recommended one. All runs of all trials decide that; a trial's value "
            "here, the history and its best value are those of first runs alone."
        )
    lines.append(f"[The job](/v1/jobs/{job.id}) · [its runs](/v1/jobs/{job.id}/runs)")
    return "\n\n".join(lines)


def trial_note(job: JobRecord, trial: TrialRecord, *, runs: Sequence[RunRecord]) -> str:
    """The note of a trial: its schedule with a plot, its runs, and the reasons."""
    role = f" ({trial.role})" if trial.role else ""
    rows = [f"| {run.seed} | {run.step:,} of {run.total_steps:,} | {_result(run)} |" for run in runs]
    return "\n".join(
        [
            f"**{plain(trial.configuration.label)}**{role}, {trial.state.value}",
            "",
            f"![learning rate](/v1/jobs/{job.id}/trials/{trial.number}/schedule.svg)",
            "",
            f"| seed | updates | {plain(job.metric.name)} |",
            "|---|---|---|",
            *rows,
            "",
            f"Why: {plain(trial.reason)}",
            *([] if trial.end_reason is None else ["", f"Ended: {plain(trial.end_reason)}"]),
        ]
    )


def plain(text: str) -> str:
    """Text of any origin on one line of Markdown, wherever in the line: without markup, HTML or blocks."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", escaped(text).replace("(", r"\(").replace(")", r"\)"))


def _short(trial: TrialRecord) -> str:
    """A trial in a legend."""
    return f"{trial.number}: {trial.schedule.family.name} {trial.schedule.peak_lr:.1e}"


def _so_far(job: JobRecord) -> list[str]:
    lines = ["There is no report yet." if job.finished_at is None else "There is no report."]
    if job.best is not None:
        expected = f"{plain(job.metric.name)} {plain(job.metric.text(job.best.value))}"
        lines.append(f"Recommended so far: **{plain(job.best.label)}** (trial {job.best.trial}), {expected}.")
    return lines


def _report_lines(report: Report) -> list[str]:
    recommended, cost = report.recommended, report.cost
    lines = [
        f"**{plain(report.finding)}**",
        f"Recommended: **{plain(recommended.label)}** (trial {recommended.trial}), "
        f"{plain(report.metric.name)} {plain(report.metric.text(recommended.expected))}.",
    ]
    rows = [_comparison_row(comparison) for comparison in report.comparisons if comparison.gain is not None]
    if rows:
        lines.append("\n".join(["| against | schedule | gain, 95 % interval | verdict |", "|---|---|---|---|", *rows]))
    lines.append(
        f"It took {cost.full_runs:.3g} of {cost.budget:g} full runs, {cost.updates_spent:,} updates; runs that were "
        f"stopped early left out {cost.updates_stopped:,}."
    )
    return lines


def _comparison_row(comparison: Comparison) -> str:
    gain = comparison.gain
    interval = "" if gain is None else f"{gain_text(gain)}, {interval_text(gain)}"
    rival = comparison.rival.value
    return f"| {rival} | {plain(comparison.label)} | {plain(interval)} | {comparison.verdict.value} |"


def _result(run: RunRecord) -> str:
    return run.state.value if run.value is None else plain(run.metric.text(run.value))


def _rank(runs: Sequence[RunRecord]) -> float:
    """Sort key: the lowest mean loss first, those without a result last."""
    losses = [run.loss for run in runs if run.loss is not None]
    return sum(losses) / len(losses) if losses else math.inf


def _runs_by_trial(runs: Sequence[RunRecord]) -> Mapping[int, list[RunRecord]]:
    by_trial: defaultdict[int, list[RunRecord]] = defaultdict(list)
    for run in runs:
        if run.state is not RunState.CANCELLED:
            by_trial[run.trial_number].append(run)
    return by_trial
