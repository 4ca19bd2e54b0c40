"""The expected values of the candidates with their intervals, and the raw results beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tuner.report.plots.style import BLACK, BLUE, GREEN, GREY, GRID, VERMILION, axis_label, dot, line, new_figure
from tuner.report.report import Candidate, Report
from tuner.report.roles import roles_of
from tuner.report.wording import label_lines, seeds_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROWS: Final = 20
"""Candidates that are drawn, the best first."""
_TICK_WIDTH: Final = 40  # characters of a line, for a figure 9 inches wide
_SPREADS: Final = 3.0  # half-widths of the shown scale around the shown intervals, beyond which results are cut off


def draw_estimates(report: Report) -> Figure:
    """The best candidates: the result on each seed as a dot, the expected value with its interval as a bar."""
    candidates = _shown(report)
    figure, axes = new_figure(height=1.9 + 0.55 * max(len(candidates), 1))
    for row, candidate in enumerate(candidates):
        colour = _colour(candidate, report=report)
        values = [result.value for result in candidate.values if result.value is not None]
        axes.scatter(values, [row] * len(values), s=34, color=colour, alpha=0.75, linewidths=0, zorder=3)
        if candidate.expected is not None and candidate.low is not None and candidate.high is not None:
            axes.plot([candidate.low, candidate.high], [row, row], color=BLACK, linewidth=1.4, zorder=4)
            axes.plot([candidate.expected] * 2, [row - 0.28, row + 0.28], color=BLACK, linewidth=2.2, zorder=4)
        if candidate.diverged:
            text = f"x diverged on {candidate.diverged} of {seeds_text(candidate.seeds)}"
            axes.text(0.99, row, text, color=VERMILION, transform=axes.get_yaxis_transform(), ha="right", va="center")
    axes.set_yticks(range(len(candidates)), [_tick(candidate, report=report) for candidate in candidates], fontsize=9)
    axes.set_ylim(len(candidates) - 0.4, -0.6)
    _fit_scale(axes, candidates)
    axes.set_xlabel(f"{axis_label(report.metric)} after {report.total_steps:,} updates")
    axes.grid(axis="x", color=GRID)
    handles = [
        dot(BLUE, "recommended, each seed"),
        dot(GREEN, "incumbent"),
        dot(GREY, "others"),
        line(BLACK, "expected, 95 % interval"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _shown(report: Report) -> list[Candidate]:
    """The best candidates, with the recommended one and the rivals in any case."""
    named = {report.recommended.trial, *(one.trial for one in report.comparisons)}
    first = report.candidates[:MAX_ROWS]
    return [*first, *(one for one in report.candidates[MAX_ROWS:] if one.trial in named)]


def _fit_scale(axes: Axes, candidates: list[Candidate]) -> None:
    """Limit the scale to what is near the expected values: a result far away would squeeze all the others."""
    expected = [one.expected for one in candidates if one.expected is not None]
    half_widths = [one.high - one.low for one in candidates if one.high is not None and one.low is not None]
    if not expected or not any(half_widths):
        return
    low, high = axes.get_xlim()
    reach = _SPREADS * max(max(half_widths), max(expected) - min(expected))
    axes.set_xlim(max(low, min(expected) - reach), min(high, max(expected) + reach))


def _colour(candidate: Candidate, *, report: Report) -> str:
    if candidate.trial == report.recommended.trial:
        return BLUE
    return GREEN if report.incumbent is not None and candidate.trial == report.incumbent.trial else GREY


def _tick(candidate: Candidate, *, report: Report) -> str:
    last = ", ".join((f"trial {candidate.trial}", *roles_of(candidate.trial, report=report)))
    return "\n".join((*label_lines(candidate.label, width=_TICK_WIDTH), last))
