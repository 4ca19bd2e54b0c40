"""Learning rates per update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.report.plots.style import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure
from tuner.report.report import Candidate, Report, Rival
from tuner.report.sampling import sampled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_schedules(report: Report) -> Figure:
    """The learning rate per update of the recommended schedule, the cheaper one to reuse, and the rivals.

    Those that follow the loss are drawn as one of their runs had them.
    """
    figure, axes = new_figure(height=4.2)
    drawn: set[int] = set()
    for name, candidate, colour, style, width in _shown_schedules(report):
        if candidate.trial in drawn:
            continue
        drawn.add(candidate.trial)
        losses = report.losses_of(candidate.trial)
        updates, lrs = sampled(candidate.schedule, total_steps=report.total_steps, losses=losses)
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
    trained = {candidate.trial: candidate for candidate in report.candidates}
    rivals = {one.rival: trained.get(one.trial) for one in report.comparisons if one.trial is not None}
    beside = None if report.reusable is None else trained[report.reusable.trial]
    named = (
        ("recommended", report.recommended, BLUE, "-", 2.6),
        ("incumbent", rivals.get(Rival.INCUMBENT), GREEN, "-.", 1.8),
        ("cheaper to reuse", beside, VERMILION, "-", 1.8),
        ("best constant rate", rivals.get(Rival.CONSTANT), ORANGE, "--", 1.8),
        ("best without warm-up", rivals.get(Rival.NO_WARMUP), GREY, ":", 1.8),
    )
    return [(name, one, colour, style, width) for name, one, colour, style, width in named if one is not None]
