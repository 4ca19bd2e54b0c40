"""The report on a terminal: the verdict, comparisons, cost, a drawing, code, what to do next. For 80 columns and up."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tuner.exports import paste_in_code
from tuner.report.pages.view import comparison_line
from tuner.report.report import Comparison, Report, Rival, Verdict
from tuner.report.terminal.chart import draw_schedule
from tuner.report.wording import (
    cost_sentence,
    label_lines,
    measured_text,
    range_text,
    reusable_sentence,
    sensitivity_sentence,
    stop_text,
    trials_text,
)
from tuner.schedules import Schedule
from tuner.schedules.values import Losses
from tuner.text import one_line

_MAX_WIDTH = 110
_MOST_STOPS = 5  # listed one by one; the pages list all
_DRAWING_HEIGHT = 13  # odd, so that the label in the middle is half the peak
_VERDICT_STYLE = {Verdict.HELPS: "green", Verdict.DOES_NOT_HELP: "cyan", Verdict.NOT_SETTLED: "yellow"}


@dataclass(frozen=True, kw_only=True)
class ScheduleDrawing:
    """A schedule that draws itself in the console's width, in ASCII where the console has nothing else."""

    schedule: Schedule
    total_steps: int
    height: int = _DRAWING_HEIGHT
    log: bool = False
    losses: Losses = ()
    """Evaluations of a run, for a schedule that follows them."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawing = Text(
            draw_schedule(
                self.schedule,
                total_steps=self.total_steps,
                width=min(options.max_width, _MAX_WIDTH),
                height=self.height,
                log=self.log,
                ascii_only=options.ascii_only,
                losses=self.losses,
            ),
            no_wrap=True,
        )
        drawing.highlight_regex(r"[\u2801-\u28ff]+|\*+", "cyan")
        yield drawing


@dataclass(frozen=True, kw_only=True)
class _Label:
    """A schedule's label; in a column that is too narrow it wraps after commas only."""

    text: str
    style: str = ""

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = max(len(part) + 1 for part in self.text.split(", "))
        return Measurement(longest, max(longest, len(self.text))).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("\n".join(label_lines(self.text, width=options.max_width)), style=self.style)


def render(report: Report) -> Group:
    """The report, to be printed with ``rich.console.Console.print``."""
    recommended = report.recommended
    return Group(
        _heading(report),
        _section("Recommended", _recommended(report)),
        _section("Compared", _comparisons(report)),
        *_insights(report),
        _section("Cost", Text(f"{cost_sentence(report.cost)} It ended because {report.end_reason}.")),
        _section(
            f"The schedule: {recommended.label}",
            ScheduleDrawing(
                schedule=recommended.schedule,
                total_steps=report.total_steps,
                losses=report.losses_of(recommended.trial),
            ),
        ),
        Text("\nIn your training script\n", style="bold"),
        Text(paste_in_code(recommended.schedule, total_steps=report.total_steps), style="dim", no_wrap=True, end=""),
        _section("Next", _list(report.next_steps)),
    )


def render_text(report: Report, *, width: int = 80, ascii_only: bool = False) -> str:
    """The report as plain text, without colour.

    Args:
        report: The report.
        width: Columns; below 80 the code to paste is cut off.
        ascii_only: Whether to use nothing but ASCII.
    """
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii" if ascii_only else "utf-8", newline="\n")
    console = Console(file=stream, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    console.print(render(report))
    stream.seek(0)
    return "".join(f"{line.rstrip()}\n" for line in stream)


def _heading(report: Report) -> RenderableType:
    name = f"{one_line(report.job_name)}: " if report.job_name else ""
    title = f"{name}{report.workload}, {report.total_steps:,} updates, {trials_text(len(report.trials))}"
    incumbent = report.comparison(Rival.INCUMBENT)
    style = _VERDICT_STYLE[Verdict.NOT_SETTLED if incumbent is None else incumbent.verdict]
    return Panel(Text(report.finding, style="bold"), title=Text(title), border_style=style)


def _section(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(), Text(title, style="bold"), Padding(body, (0, 0, 0, 2)))


def _recommended(report: Report) -> RenderableType:
    best, metric = report.recommended, report.metric
    lines = [Text.assemble((best.label, "bold cyan"), f"  (trial {best.trial})")]
    if best.expected is not None:
        interval = f"95 % interval {range_text(best, metric=metric)}"
        lines.append(Text.assemble(f"expected {metric.name} ", (metric.text(best.expected), "bold"), f"  ({interval})"))
    lines.append(Text(measured_text(best, metric=metric), style="red" if best.diverged else "dim"))
    if report.reusable is not None:
        beside = reusable_sentence(report.reusable, candidate=report.candidate(report.reusable.trial))
        lines.append(Text(beside))
    return Group(*lines, *(Text(sentence, style="yellow") for sentence in report.reservations))


def _comparisons(report: Report) -> RenderableType:
    table = _table("against", "gain, 95 % interval", "verdict", flexible=0)
    for comparison in report.comparisons:
        line = comparison_line(comparison, metric=report.metric)
        verdict = Text(line.verdict, style=_VERDICT_STYLE[comparison.verdict])
        table.add_row(
            Group(line.rival, _Label(text=line.label, style="dim")) if line.label else line.rival,
            _two_lines(line.gain, line.interval) if line.gain else "",
            Group(verdict, Text(line.cost, style="dim")) if line.cost else verdict,
        )
    steps = [_steps(one, report=report) for one in report.comparisons if one.gain is not None and one.gain.steps]
    return Group(table, *steps, Text(report.margin.sentence, style="dim"))


def _steps(comparison: Comparison, *, report: Report) -> Text:
    steps = comparison_line(comparison, metric=report.metric).steps
    return Text(f"The gain over {comparison.name}, in training: {steps}.")


def _insights(report: Report) -> list[RenderableType]:
    """The further findings in short; the pages of the report have the details."""
    sections = [_section("Stopped early", _early_stops(report))]
    if report.sensitivity is not None:
        sentence = sensitivity_sentence(report.sensitivity, metric=report.metric)
        sections.append(_section("How far the peak may be off", Text(sentence)))
    if report.importances is not None:
        sections.append(_section("What decided the result", Text(report.importances.sentence)))
    if report.advice:
        sections.append(_section("Advice", _list([one.sentence for one in report.advice])))
    if report.transfer is not None:
        sections.append(_section("If you train longer", Text(" ".join(report.transfer.sentences))))
    return sections


def _early_stops(report: Report) -> RenderableType:
    stops = report.early_stops
    shown = [stop_text(run, metric=report.metric) for run in stops.stopped[:_MOST_STOPS]]
    more = len(stops.stopped) - len(shown)
    lines = [*shown, *([f"and {more} more"] if more else [])]
    return Group(Text(stops.sentence), *([_list(lines)] if lines else []))


def _list(sentences: Sequence[str]) -> RenderableType:
    lines = Table.grid(padding=(0, 1, 0, 0))
    for sentence in sentences:
        lines.add_row("-", Text(sentence))
    return lines


def _table(*columns: str, flexible: int) -> Table:
    """A table without lines; the ``flexible`` column wraps where the console is narrow."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index != flexible)
    return table


def _two_lines(first: str, second: str) -> Text:
    return Text.assemble(first, (f"\n{second}", "dim"))
