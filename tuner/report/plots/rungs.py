"""The search, rung by rung."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from tuner.metric import Metric
from tuner.report.plots.style import BLACK, BLUE, GREY, GRID, ORANGE, VERMILION, axis_label, line, new_figure
from tuner.report.report import Report, TrialRow
from tuner.search.decision.decisions import TrialStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LANE: Final = 0.06  # height of a lane beside the scale, as a share of its range
_LOG_FROM: Final = 3.0  # highest over lowest value from which the axis is logarithmic


def draw_rungs(report: Report) -> Figure:
    """Every trial's result at every rung that it reached, joined by a line; pruned and diverged ones are marked."""
    figure, axes = new_figure(height=4.8)
    metric = report.metric
    losses = {trial.number: _losses(trial, metric=metric) for trial in report.trials}
    floor, ceiling = _loss_range(losses.values())
    logarithmic = not metric.maximized and floor > 0 and ceiling > _LOG_FROM * floor
    bottom, *lanes, top = map(metric.value, _lanes(floor, ceiling, logarithmic=logarithmic))
    off_scale, diverged = lanes
    beyond = "v" if metric.maximized else "^"
    for trial in report.trials:
        colour, width, order = _trial_style(trial, report=report)
        markers = ["X" if loss is None else beyond if loss > ceiling else "o" for loss in losses[trial.number]]
        places = {"X": diverged, beyond: off_scale}
        heights = [places.get(marker, value or 0.0) for marker, value in zip(markers, trial.values, strict=True)]
        axes.plot(range(len(heights)), heights, color=colour, linewidth=width, zorder=order, alpha=0.85)
        for rung, (height, marker) in enumerate(zip(heights, markers, strict=True)):
            shade = VERMILION if marker == "X" else colour
            axes.plot(rung, height, marker=marker, color=shade, markersize=6, zorder=order + 1)
    _label_lanes(axes, losses.values(), ceiling=ceiling, beyond=beyond, lanes={beyond: off_scale, "X": diverged})
    _value_axis(axes, logarithmic=logarithmic, ends=(bottom, top), scale=(bottom, metric.value(ceiling)))
    axes.set_xticks(range(len(report.rung_steps)), [f"{steps:,}" for steps in report.rung_steps])
    axes.set_xlim(-0.15, len(report.rung_steps) - 0.75)
    axes.set_xlabel("rung: updates of the complete, compressed schedule")
    axes.set_ylabel(f"{axis_label(metric)} at the rung's end" + (" (log scale)" if logarithmic else ""))
    axes.grid(axis="y", color=GRID)
    handles = [
        line(BLUE, "best", width=2.6),
        line(ORANGE, "trained to the horizon"),
        line(GREY, "pruned or failed"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _losses(trial: TrialRow, *, metric: Metric) -> list[float | None]:
    return [None if value is None else metric.loss(value) for value in trial.values]


def _label_lanes(
    axes: Axes, trials: Iterable[list[float | None]], *, ceiling: float, beyond: str, lanes: Mapping[str, float]
) -> None:
    """Write beside each marker off the scale how many trials it stands for."""
    counts: Counter[tuple[int, str]] = Counter()
    for losses in trials:
        for rung, loss in enumerate(losses):
            if loss is None or loss > ceiling:
                counts[rung, "X" if loss is None else beyond] += 1
    words = {"X": "diverged", beyond: "off the scale"}
    for (rung, marker), count in counts.items():
        axes.annotate(
            f"{count} {words[marker]}",
            (rung, lanes[marker]),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=VERMILION if marker == "X" else BLACK,
        )


def _trial_style(trial: TrialRow, *, report: Report) -> tuple[str, float, float]:
    """Colour, line width and drawing order."""
    if trial.number == report.best.trial:
        return BLUE, 2.6, 5.0
    if trial.status is TrialStatus.COMPLETED:
        return ORANGE, 1.4, 3.0
    return GREY, 1.0, 1.0


def _loss_range(trials: Iterable[list[float | None]]) -> tuple[float, float]:
    """Both ends of the axis in losses: room for every trial that was ever promoted and for most of the pruned ones."""
    rows = list(trials)
    losses = [loss for row in rows for loss in row if loss is not None]
    if not losses:
        return 0.0, 1.0
    promoted = [loss for row in rows if len(row) > 1 for loss in row if loss is not None]
    low, high = min(losses), max([float(np.quantile(losses, 0.8)), *promoted])
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _lanes(floor: float, ceiling: float, *, logarithmic: bool) -> tuple[float, float, float, float]:
    """Losses beside the scale: one below it, the two lanes for results that are off it, and one above them."""
    if logarithmic:
        below, one, two, three = ((ceiling / floor) ** (_LANE * n) for n in (-1, 1, 2, 3))
        return floor * below, ceiling * one, ceiling * two, ceiling * three
    lane = _LANE * (ceiling - floor)
    return floor - lane, ceiling + lane, ceiling + 2 * lane, ceiling + 3 * lane


def _value_axis(axes: Axes, *, logarithmic: bool, ends: tuple[float, float], scale: tuple[float, float]) -> None:
    from matplotlib.ticker import LogLocator

    if logarithmic:
        axes.set_yscale("log")
    locator = LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0)) if logarithmic else axes.yaxis.get_major_locator()
    low, high = sorted(scale)
    axes.set_yticks([tick for tick in locator.tick_values(low, high) if low <= tick <= high])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(*sorted(ends))
