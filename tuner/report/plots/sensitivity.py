"""The metric against the peak rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuner.metric import Metric
from tuner.report.insights import Sensitivity
from tuner.report.plots.style import BLACK, BLUE, GREEN, GRID, ORANGE, VERMILION, axis_label, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_sensitivity(sensitivity: Sensitivity, *, metric: Metric) -> Figure:
    """The runs of the candidate's shape, the parabola through them, and how far the peak may be off.

    Args:
        sensitivity: With a fit.
        metric: What its values are of.
    """
    from matplotlib.ticker import LogLocator

    figure, axes = new_figure(height=3.6)
    peaks = [point.peak_lr for point in sensitivity.points]
    values = [point.value for point in sensitivity.points]
    axes.set_xscale("log")
    _fit(axes, sensitivity, low=min([*peaks, sensitivity.peak_lr]), high=max([*peaks, sensitivity.peak_lr]))
    axes.scatter(peaks, values, s=40, color=BLUE, zorder=3, label="runs of this shape")
    axes.axvline(sensitivity.peak_lr, color=BLACK, linewidth=1.2, linestyle="--", label="its peak")
    below = sensitivity.below.factor if sensitivity.below else 1.0
    above = sensitivity.above.factor if sensitivity.above else 1.0
    if sensitivity.reason is None:
        low, high = sensitivity.peak_lr / below, sensitivity.peak_lr * above
        axes.axvspan(low, high, color=GREEN, alpha=0.15, linewidth=0, label="within the tolerance")
    if sensitivity.diverged_from is not None:
        axes.axvline(
            sensitivity.diverged_from, color=VERMILION, linewidth=1.4, linestyle=":", label="diverged from here"
        )
    axes.grid(axis="y", color=GRID)
    axes.set_xlabel("peak learning rate (log scale)")
    axes.set_ylabel(axis_label(metric))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0)))
    axes.minorticks_off()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _fit(axes: Axes, sensitivity: Sensitivity, *, low: float, high: float) -> None:
    fit = sensitivity.fit
    if fit is None:
        return
    peaks = np.geomspace(low, high, 100)
    x = np.log(peaks / sensitivity.peak_lr)
    values = fit.constant + fit.slope * x + fit.curvature * x**2
    axes.plot(peaks, values, color=ORANGE, linewidth=1.8, label="fitted parabola")
