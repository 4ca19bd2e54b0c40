"""Learning rates per update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.report.plots.style import BLUE, GREEN, ORANGE, VERMILION, new_figure
from tuner.report.report import Candidate, Report
from tuner.report.sampling import sampled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_schedules(report: Report) -> Figure:
    """The learning rate per update of the recommended and the best schedule, the best constant rate and the default."""
    figure, axes = new_figure(height=4.2)
    drawn: set[int] = set()
    for name, candidate, colour, style, width in _shown_schedules(report):
        if candidate.trial in drawn:
            continue
        drawn.add(candidate.trial)
        updates, lrs = sampled(candidate.schedule, total_steps=report.total_steps)
        label = f"{name}: {candidate.label}"
        axes.plot(updates, lrs, color=colour, linestyle=style, linewidth=width, label=label)
    axes.set_xlim(0, report.total_steps)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("optimizer update")
    axes.set_ylabel("learning rate")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:g}")
    figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    return figure


def _shown_schedules(report: Report) -> list[tuple[str, Candidate, str, str, float]]:
    shown = [("best", report.best, BLUE, "-", 2.6)]
    if report.recommended.trial != report.best.trial:
        shown.insert(0, ("recommended", report.recommended, VERMILION, "-", 2.0))
    if report.best_constant is not None:
        shown.append(("best constant rate", report.candidate(report.best_constant.trial), ORANGE, "--", 1.8))
    if report.default is not None:
        shown.append(("default", report.candidate(report.default.trial), GREEN, "-.", 1.8))
    return shown
