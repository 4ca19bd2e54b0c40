"""Renders a job's progress: as a screen that is redrawn, or as one line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuner.jobs.states import JobState, is_terminal
from tuner.text import one_line

if TYPE_CHECKING:
    from tuner.api.jobs import JobDetail
    from tuner.jobs.progress import Progress

_BAR_WIDTH = 48
_STATE_STYLE = {JobState.COMPLETED: "green", JobState.FAILED: "red", JobState.CANCELLED: "yellow"}


def screen(
    job: JobDetail, *, events: Sequence[str] = (), elapsed: float | None = None, notice: str = ""
) -> RenderableType:
    """A job as a few lines.

    Args:
        job: The job.
        events: The latest events, one line each.
        elapsed: Seconds since it started; not shown when ``None``.
        notice: The last line, for instance that the service is unreachable.
    """
    has_ended = is_terminal(job.state)
    lines: list[RenderableType] = [
        _title(job, elapsed=elapsed),
        _bar(job.progress),
        _counts(job, has_ended=has_ended),
    ]
    if job.error:
        reason = job.error.strip().splitlines()[0]
        lines.append(Text(f"{job.state.value}: {reason}", style=_STATE_STYLE.get(job.state, "")))
    lines += [Text(f"  {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in events]
    if notice:
        lines.append(Text(notice, style="yellow"))
    return Group(*lines)


def progress_line(job: JobDetail) -> str:
    """A job's progress in one line of plain text."""
    progress, has_ended = job.progress, is_terminal(job.state)
    opened = progress.trials.opened
    parts = [f"{progress.fraction:4.0%}", _spent_text(progress), f"{opened} trial{'' if opened == 1 else 's'}"]
    if progress.best is not None:
        parts.append(f"recommended{'' if has_ended else ' so far'} {_best_text(job)}")
    if not has_ended:
        parts.append(_left_text(progress))
    return ", ".join(parts)


def _title(job: JobDetail, *, elapsed: float | None) -> Text:
    is_live = not is_terminal(job.state)
    text = Text()
    text.append(job.spec.workload, style="bold")
    text.append(f" ({one_line(job.spec.name)})" if job.spec.name else "", style="bold")
    text.append(f"  job {job.id[:8]}  ")
    text.append(job.state.value, style=_STATE_STYLE.get(job.state, "cyan"))
    if elapsed is not None:
        text.append(f", {format_clock(elapsed)} so far" if is_live else f" after {format_clock(elapsed)}")
    if is_live:
        text.append(f", {_left_text(job.progress)}")
    return text


def _bar(progress: Progress) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row(
        ProgressBar(total=1.0, completed=progress.fraction, width=_BAR_WIDTH),
        f"{progress.fraction:.0%}",
        f"{_spent_text(progress)} ({progress.updates_spent:,} updates)",
    )
    return row


def _spent_text(progress: Progress) -> str:
    return f"{progress.full_runs_spent:.3g} of {progress.budget:.3g} full runs"


def _counts(job: JobDetail, *, has_ended: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    trials, runs = job.progress.trials, job.progress.runs
    opened = f"{trials.opened} opened" + ("" if has_ended else f" (at most {trials.most})")
    counts = f"{opened}, {trials.completed} completed, {trials.pruned} pruned"
    table.add_row("Trials", counts + (f", {trials.failed} failed" if trials.failed else ""))
    open_runs = "" if has_ended else f", {runs.running} running, {runs.queued} queued"
    table.add_row("Runs", f"{runs.ended} ended{open_runs}")
    if job.updates_saved:
        table.add_row("Shared", f"{job.updates_saved:,} updates, which runs did not have to repeat")
    none = "none" if has_ended else "none yet"
    recommended = "Recommended" if has_ended else "Recommended so far"
    table.add_row(recommended, none if job.progress.best is None else _best_text(job))
    return table


def _best_text(job: JobDetail) -> str:
    best, metric = job.progress.best, job.metric
    if best is None:
        return ""
    return (
        f"{metric.name} {metric.text(best.value)} ({metric.text(best.low)} to {metric.text(best.high)}), "
        f"trial {best.trial}, {best.label}"
    )


def _left_text(progress: Progress) -> str:
    return (
        "time left unknown yet"
        if progress.seconds_left is None
        else f"about {format_clock(progress.seconds_left)} left"
    )


def format_clock(seconds: float) -> str:
    """A duration as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
