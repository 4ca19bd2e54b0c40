"""Results on fresh seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tuner.report.plots.style import BLACK, BLUE, GREEN, GREY, GRID, VERMILION, axis_label, dot, new_figure
from tuner.report.report import Candidate, Report
from tuner.report.wording import label_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TICK_WIDTH: Final = 40  # characters of a line, for a figure 9 inches wide


def draw_confirmations(report: Report) -> Figure:
    """Every confirmed candidate: its result on each fresh seed as a dot, the median as a bar."""
    candidates = [candidate for candidate in report.candidates if candidate.values]
    figure, axes = new_figure(height=1.7 + 0.55 * max(len(candidates), 1))
    equals = {member.trial for member in report.equivalents.members}
    for row, candidate in enumerate(candidates):
        colour = BLUE if candidate.trial == report.best.trial else GREEN if candidate.trial in equals else GREY
        values = [result.value for result in candidate.values if result.value is not None]
        axes.scatter(values, [row] * len(values), s=34, color=colour, alpha=0.75, linewidths=0, zorder=3)
        if candidate.median is not None:
            axes.plot([candidate.median] * 2, [row - 0.32, row + 0.32], color=BLACK, linewidth=2.2, zorder=4)
        if candidate.diverged:
            text = f"x diverged on {candidate.diverged} of {len(candidate.values)}"
            axes.text(0.99, row, text, color=VERMILION, transform=axes.get_yaxis_transform(), ha="right", va="center")
    axes.set_yticks(range(len(candidates)), [_tick(candidate, report=report) for candidate in candidates], fontsize=9)
    axes.set_ylim(len(candidates) - 0.4, -0.6)
    axes.set_xlabel(
        f"{axis_label(report.metric)} after {report.total_steps:,} updates\n(one dot per seed, bar: median)"
    )
    axes.grid(axis="x", color=GRID)
    handles = [dot(BLUE, "best"), dot(GREEN, "statistical ties"), dot(GREY, "others")]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _tick(candidate: Candidate, *, report: Report) -> str:
    roles = [
        role
        for role, trial in (
            ("recommended", report.recommended.trial),
            ("best constant", report.best_constant and report.best_constant.trial),
            ("default", report.default and report.default.trial),
        )
        if trial == candidate.trial
    ]
    last = ", ".join((f"trial {candidate.trial}", *roles))
    return "\n".join((*label_lines(candidate.label, width=_TICK_WIDTH), last))
