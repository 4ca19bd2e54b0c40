"""The learning curves of the runs, those that were stopped early marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from tuner.report.plots.style import BLUE, GREEN, GREY, GRID, VERMILION, axis_label, line, new_figure
from tuner.report.report import LearningCurve, Report
from tuner.search.decision.decisions import RunStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOG_FROM: Final = 3.0  # highest over lowest value from which the axis is logarithmic
_TOP: Final = 0.9  # quantile of the losses that the scale shows: the first ones are far above the others
_ROOM: Final = 0.05  # of the scale's range, left free on either side
_MARKERS: Final = {RunStatus.STOPPED: "s", RunStatus.DIVERGED: "X"}


def draw_curves(report: Report) -> Figure:
    """The metric of every run over its updates; stopped and diverged runs end in a marker."""
    figure, axes = new_figure(height=4.8)
    for curve in report.curves:
        colour, width, order = _style(curve, report=report)
        axes.plot(curve.steps, curve.values, color=colour, linewidth=width, zorder=order, alpha=0.85)
        marker = _MARKERS.get(curve.status)
        if marker is not None:
            axes.plot(
                curve.steps[-1],
                curve.values[-1],
                marker=marker,
                color=VERMILION,
                markersize=6,
                zorder=order + 1,
                clip_on=False,
            )
    if not report.curves:
        axes.text(0.5, 0.5, "no run reported a curve", transform=axes.transAxes, ha="center", va="center")
    _value_axis(axes, report.curves, maximized=report.metric.maximized)
    axes.set_xlim(0, report.total_steps)
    axes.set_xlabel("optimizer update")
    axes.set_ylabel(axis_label(report.metric))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=GRID)
    handles = [
        line(BLUE, "recommended", width=2.2),
        line(GREEN, "incumbent", width=1.8),
        line(GREY, "others", width=1.0),
        line(VERMILION, "stopped early", width=0.0, marker="s"),
        line(VERMILION, "diverged", width=0.0, marker="X"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def _style(curve: LearningCurve, *, report: Report) -> tuple[str, float, float]:
    """Colour, line width and drawing order."""
    if curve.trial == report.recommended.trial:
        return BLUE, 2.2, 5.0
    if report.incumbent is not None and curve.trial == report.incumbent.trial:
        return GREEN, 1.8, 4.0
    return GREY, 1.0, 1.0


def _value_axis(axes: Axes, curves: Sequence[LearningCurve], *, maximized: bool) -> None:
    """A scale that shows the ends of all runs and most of what was before; logarithmic for losses over a wide range."""
    from matplotlib.ticker import LogLocator

    values = np.array([value for curve in curves for value in curve.values])
    if not len(values):
        axes.set_yticks([])
        return
    ends = np.array([curve.values[-1] for curve in curves if curve.status is not RunStatus.DIVERGED] or values)
    if maximized:
        low, high = float(min(np.quantile(values, 1.0 - _TOP), ends.min())), float(values.max())
    else:
        low, high = float(values.min()), float(max(np.quantile(values, _TOP), ends.max()))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    if not maximized and low > 0.0 and high > _LOG_FROM * low:
        axes.set_yscale("log")
        room = (high / low) ** _ROOM
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
        axes.set_ylim(low / room, high * room)
    else:
        room = _ROOM * (high - low)
        axes.set_ylim(low - room, high + room)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
