"""The loss of an LR range test against the rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.report.plots.style import BLACK, BLUE, GREEN, GREY, GRID, ORANGE, VERMILION, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tuner.search.range_test.result import RangeTest


def draw_range_test(test: RangeTest) -> Figure:
    """The median loss, raw and smoothed, and the three readings.

    Args:
        test: With points.
    """
    figure, axes = new_figure(height=3.8)
    rates = [point.lr for point in test.points]
    axes.set_xscale("log")
    axes.plot(rates, [point.loss for point in test.points], color=GREY, linewidth=1.0, label="median over the seeds")
    axes.plot(rates, [point.smoothed for point in test.points], color=BLUE, linewidth=2.0, label="smoothed")
    readings = test.readings
    for rate, colour, style, label in (
        (readings.steepest, GREEN, "--", "falls fastest"),
        (readings.before_rise, ORANGE, "-.", "a tenth of the rise"),
        (readings.last_stable, VERMILION, ":", "last stable rate"),
    ):
        if rate is not None:
            axes.axvline(rate, color=colour, linestyle=style, linewidth=1.6, label=f"{label}: {rate:.2g}")
    low, high = min(point.smoothed for point in test.points), max(point.smoothed for point in test.points)
    margin = 0.1 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)  # one explosion of the raw loss must not flatten the rest
    axes.grid(axis="y", color=GRID)
    axes.set_xlabel("learning rate (log scale)", color=BLACK)
    axes.set_ylabel("loss (lower is better)")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure
