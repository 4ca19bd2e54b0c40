"""A study while it trains, as HTML and as text: its progress, its learning curves, and what it recommends. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from tuner.jobs.progress import JobStatus, Progress
from tuner.jobs.states import is_terminal
from tuner.metric import Metric
from tuner.report.plots.style import BLUE, GREY, ORANGE
from tuner.svg import Axis, Line, line_chart
from tuner.text import one_line

_LOG_FROM: Final = 3.0
"""Highest over lowest value from which the axis is logarithmic."""


@dataclass(frozen=True, kw_only=True)
class RunCurve:
    """The evaluations of a run so far."""

    trial: int
    is_running: bool
    points: tuple[tuple[int, float], ...]
    """Updates done, ascending, and the value of the metric there, finite."""


def study_html(status: JobStatus, *, curves: Sequence[RunCurve], note: str = "") -> str:
    """The study as a part of a page, without scripts and without styles of its own.

    Args:
        status: The job and its progress.
        curves: Of its runs.
        note: A line below: why it was interrupted.
    """
    progress, spec = status.progress, status.job.spec
    lines = [
        f"<b>{escape(one_line(spec.workload))}</b>, {spec.search.total_steps:,} updates: {escape(_state(status))}",
        f'<progress max="1" value="{progress.fraction:.4f}" style="width: 20em"></progress> {_spent(progress)}',
        _chart(status, curves=curves),
        escape(_recommended(status)),
        *([f"<b>{escape(note)}</b>"] if note else []),
    ]
    return "".join(f"<div>{line}</div>" for line in lines if line)


def study_text(status: JobStatus, *, note: str = "") -> str:
    """The same in one line, for a front end without HTML."""
    parts = (f"{status.job.spec.workload}: {_state(status)}, {_spent(status.progress)}", _recommended(status), note)
    return ". ".join(part for part in parts if part)


def _state(status: JobStatus) -> str:
    progress = status.progress
    trials, opened = ("trial" if progress.trials.opened == 1 else "trials"), progress.trials.opened
    left = "" if progress.seconds_left is None else f", about {_clock(progress.seconds_left)} left"
    return f"{status.job.state.value}, {opened} {trials}{left}"


def _spent(progress: Progress) -> str:
    return f"{progress.full_runs_spent:.3g} of {progress.budget:.3g} full runs"


def _recommended(status: JobStatus) -> str:
    best, metric = status.progress.best, status.job.metric
    so_far = "" if is_terminal(status.job.state) else " so far"
    if best is None:
        return ""
    interval = f"{metric.text(best.low)} to {metric.text(best.high)}"
    value = f"expected {metric.name} {metric.text(best.value)} ({interval})"
    return f"Recommended{so_far}: {best.label} (trial {best.trial}), {value}"


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def _chart(status: JobStatus, *, curves: Sequence[RunCurve]) -> str:
    """The learning curves: of the recommended schedule in blue, of the run that trains in orange, of others in grey."""
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return ""
    best, metric = status.progress.best, status.job.metric
    recommended = None if best is None else best.trial
    ranked = sorted(((_rank(one, recommended=recommended), one) for one in drawn), key=lambda pair: pair[0])
    total_steps = status.job.spec.search.total_steps
    return line_chart(
        [
            Line(
                xs=[step for step, _ in curve.points],
                ys=[value for _, value in curve.points],
                colour=(GREY, BLUE, ORANGE)[rank],
                width=(1.0, 2.0, 2.0)[rank],
                has_end=curve.is_running,
            )
            for rank, curve in ranked
        ],
        x=Axis(low=0, high=total_steps, labels=("0", f"{total_steps:,} updates")),
        y=_value_axis(drawn, metric=metric),
        title=f"{metric.name}: orange trains now, blue is recommended, grey are the others",
    )


def _rank(curve: RunCurve, *, recommended: int | None) -> int:
    """The place of its line among the others, the last one above all."""
    return 2 if curve.is_running else int(curve.trial == recommended)


def _value_axis(curves: Sequence[RunCurve], *, metric: Metric) -> Axis:
    """An axis from the best value to the median of the first ones: those of a run that diverges are far beyond."""
    values = [value for curve in curves for _, value in curve.points]
    firsts = sorted(curve.points[0][1] for curve in curves)
    best, worst = (max(values), min(values)) if metric.maximized else (min(values), max(values))
    median = firsts[len(firsts) // 2]
    edge = median if median != best else worst
    low, high = sorted((best, edge))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    is_log = not metric.maximized and low > 0.0 and high > _LOG_FROM * low
    return Axis(low=low, high=high, labels=(metric.text(low), metric.text(high)), is_log=is_log)
