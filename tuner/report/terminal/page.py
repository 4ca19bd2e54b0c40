"""The report on a terminal: headline, comparisons, equivalents, cost, a drawing, and code. For 80 columns and more."""

from __future__ import annotations

import io
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tuner.exports import paste_in_code
from tuner.metric import Metric
from tuner.report.report import Candidate, Comparison, Report, Verdict
from tuner.report.terminal.chart import draw_schedule
from tuner.report.wording import (
    cost_sentence,
    gain_text,
    interval_text,
    label_lines,
    percent_text,
    range_text,
    sensitivity_sentence,
)
from tuner.schedules import Schedule

_MAX_WIDTH = 110
_DRAWING_HEIGHT = 13  # odd, so that the label in the middle is half the peak
_VERDICT_STYLE = {Verdict.BETTER: "green", Verdict.WORSE: "red", Verdict.TIED: "yellow", Verdict.SAME: "dim"}
_VERDICT_WORDS = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.TIED: "statistical tie",
    Verdict.SAME: "the same",
}


@dataclass(frozen=True, kw_only=True)
class ScheduleDrawing:
    """A schedule that draws itself in the console's width, in ASCII where the console has nothing else."""

    schedule: Schedule
    total_steps: int
    height: int = _DRAWING_HEIGHT
    log: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawing = Text(
            draw_schedule(
                self.schedule,
                total_steps=self.total_steps,
                width=min(options.max_width, _MAX_WIDTH),
                height=self.height,
                log=self.log,
                ascii_only=options.ascii_only,
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
        _section("Best, and recommended" if recommended == report.best else "Best", _best(report)),
        _section("Against what you would have used", _comparisons(report)),
        _section("The equivalents: statistical ties with the best", _equivalents(report)),
        *_insights(report),
        _section("Cost", Text(cost_sentence(report.cost, trials=len(report.trials)))),
        _section(
            f"Recommended: {recommended.label}",
            ScheduleDrawing(schedule=recommended.schedule, total_steps=report.total_steps),
        ),
        Text("\nIn your training script\n", style="bold"),
        Text(paste_in_code(recommended.schedule, total_steps=report.total_steps), style="dim", no_wrap=True, end=""),
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
    name = f"{report.job_name}: " if report.job_name else ""
    title = f"{name}{report.workload}, {report.total_steps:,} updates, {len(report.trials)} trials"
    style = "green" if report.schedule_helps else "yellow"
    return Panel(Text(report.finding, style="bold"), title=Text(title), border_style=style)


def _section(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(), Text(title, style="bold"), Padding(body, (0, 0, 0, 2)))


def _best(report: Report) -> RenderableType:
    best = report.best
    lines = [Text.assemble((best.label, "bold cyan"), f"  (trial {best.trial})")]
    metric = report.metric
    if best.values:
        seeds = f"median of {len(best.values)} fresh seeds, {range_text(best, metric=metric)}"
        lines.append(Text.assemble(f"{metric.name} ", (metric.text(best.median), "bold"), f"  ({seeds})"))
    if best.diverged:
        lines.append(Text(f"diverged on {best.diverged} of its seeds", style="red"))
    if best.search_value is not None:
        lines.append(Text(f"in the search, on one seed: {metric.text(best.search_value)}", style="dim"))
    return Group(*lines)


def _comparisons(report: Report) -> RenderableType:
    table = _table("rival", "median", "gain, 95 % interval", "verdict", flexible=0)
    for name, comparison in (("best constant rate", report.best_constant), ("the default", report.default)):
        if comparison is None:
            table.add_row(Group(name, Text("not trained to the end", style="dim")), "", "", "")
            continue
        rival = report.candidate(comparison.trial)
        verdict = Text(_VERDICT_WORDS[comparison.verdict], style=_VERDICT_STYLE[comparison.verdict])
        wins = Text(f"{comparison.wins} of {comparison.seeds} seeds", style="dim")
        label = _Label(text=rival.label, style="dim")
        table.add_row(Group(name, label), _median(rival, metric=report.metric), _gain(comparison), Group(verdict, wins))
    return table


def _equivalents(report: Report) -> RenderableType:
    if not report.best.values:
        return Text("Nothing was confirmed, so what is as good as the best cannot be said.")
    if len(report.equivalents.members) == 1:
        return Text("None: no other candidate is within noise of the best.")
    table = _table("trial", "schedule", "median, range", "gap, 95 % interval", flexible=1)
    for member in report.equivalents.members:
        candidate = report.candidate(member.trial)
        recommended = member.trial == report.recommended.trial
        table.add_row(
            f"{'->' if recommended else '':2} {member.trial}",
            _Label(text=candidate.label, style="cyan" if recommended else ""),
            _two_lines(_median(candidate, metric=report.metric), range_text(candidate, metric=report.metric)),
            Text("best", style="dim") if member.verdict is Verdict.SAME else _gain(member),
        )
    return Group(table, Text(f"-> recommended, the cheapest to reuse: {report.equivalents.reason}."))


def _insights(report: Report) -> list[RenderableType]:
    """The further findings in short; the pages of the report have the details."""
    sections = []
    if report.sensitivities is not None:
        sentences = [sensitivity_sentence(one, metric=report.metric) for one in report.sensitivities]
        sections.append(_section("How far the peak may be off", Text("\n".join(sentences))))
    if report.importances is not None:
        sections.append(_section("What decided the result", Text(report.importances.sentence)))
    if report.audit is not None:
        sections.append(_section("What pruning lost", Text(report.audit.sentence)))
    if report.advice:
        advice = Table.grid(padding=(0, 1, 0, 0))
        for one in report.advice:
            advice.add_row("-", Text(one.sentence))
        sections.append(_section("Advice", advice))
    if report.transfer is not None:
        sections.append(_section("If you train longer", Text(" ".join(report.transfer.sentences))))
    return sections


def _table(*columns: str, flexible: int) -> Table:
    """A table without lines; the ``flexible`` column wraps where the console is narrow."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index != flexible)
    return table


def _two_lines(first: str, second: str) -> Text:
    return Text.assemble(first, (f"\n{second}", "dim"))


def _median(candidate: Candidate, *, metric: Metric) -> str:
    return f"diverged {candidate.diverged}x" if candidate.diverged else metric.text(candidate.median)


def _gain(comparison: Comparison) -> Text:
    if comparison.gain is None:
        return Text()
    percent = f" ({lift})" if (lift := percent_text(comparison.gain)) else ""
    return _two_lines(f"{gain_text(comparison.gain)}{percent}", interval_text(comparison.gain))
