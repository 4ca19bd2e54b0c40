"""The search, rung by rung."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from tuner.report.plots.style import BLACK, BLUE, GREY, GRID, ORANGE, VERMILION, line, new_figure
from tuner.report.report import Report, TrialRow
from tuner.search.decision.decisions import TrialStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LANE: Final = 0.06  # height of a lane above the losses, as a share of their range
_LOG_FROM: Final = 3.0  # highest over lowest loss from which the loss axis is logarithmic


def draw_ladder(report: Report) -> Figure:
    """Every trial's loss at every rung that it reached, joined by a line: who went on, who was pruned, who diverged."""
    figure, axes = new_figure(height=4.8)
    floor, ceiling = _loss_range(report.trials)
    logarithmic = floor > 0 and ceiling > _LOG_FROM * floor
    bottom, off_scale, diverged, top = _lanes(floor, ceiling, logarithmic=logarithmic)
    for trial in report.trials:
        colour, width, order = _trial_style(trial, report=report)
        heights = [diverged if loss is None else off_scale if loss > ceiling else loss for loss in trial.losses]
        markers = ["X" if loss is None else "^" if loss > ceiling else "o" for loss in trial.losses]
        axes.plot(range(len(heights)), heights, color=colour, linewidth=width, zorder=order, alpha=0.85)
        for rung, (height, marker) in enumerate(zip(heights, markers, strict=True)):
            shade = VERMILION if marker == "X" else colour
            axes.plot(rung, height, marker=marker, color=shade, markersize=6, zorder=order + 1)
    _label_lanes(axes, report.trials, ceiling=ceiling, lanes={"^": off_scale, "X": diverged})
    _loss_axis(axes, logarithmic=logarithmic, bottom=bottom, ceiling=ceiling, top=top)
    axes.set_xticks(range(len(report.rung_steps)), [f"{steps:,}" for steps in report.rung_steps])
    axes.set_xlim(-0.15, len(report.rung_steps) - 0.75)
    axes.set_xlabel("rung: updates of the complete, compressed schedule")
    axes.set_ylabel("validation loss at the rung's end" + (" (log scale)" if logarithmic else ""))
    axes.grid(axis="y", color=GRID)
    handles = [
        line(BLUE, "best", width=2.6),
        line(ORANGE, "trained to the horizon"),
        line(GREY, "pruned or failed"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _label_lanes(axes: Axes, trials: Sequence[TrialRow], *, ceiling: float, lanes: Mapping[str, float]) -> None:
    """Say beside each marker above the scale how many trials it stands for."""
    counts: Counter[tuple[int, str]] = Counter()
    for trial in trials:
        for rung, loss in enumerate(trial.losses):
            if loss is None or loss > ceiling:
                counts[rung, "X" if loss is None else "^"] += 1
    words = {"X": "diverged", "^": "off the scale"}
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


def _loss_range(trials: Sequence[TrialRow]) -> tuple[float, float]:
    """Both ends of the loss axis: room for every trial that was ever promoted and for most of the pruned ones."""
    losses = [loss for trial in trials for loss in trial.losses if loss is not None]
    if not losses:
        return 0.0, 1.0
    promoted = [loss for trial in trials if len(trial.losses) > 1 for loss in trial.losses if loss is not None]
    low, high = min(losses), max([float(np.quantile(losses, 0.8)), *promoted])
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _lanes(floor: float, ceiling: float, *, logarithmic: bool) -> tuple[float, float, float, float]:
    """Heights below and above the losses: the bottom, the two lanes for what has no place on the scale, the top."""
    if logarithmic:
        below, one, two, three = ((ceiling / floor) ** (_LANE * n) for n in (-1, 1, 2, 3))
        return floor * below, ceiling * one, ceiling * two, ceiling * three
    lane = _LANE * (ceiling - floor)
    return floor - lane, ceiling + lane, ceiling + 2 * lane, ceiling + 3 * lane


def _loss_axis(axes: Axes, *, logarithmic: bool, bottom: float, ceiling: float, top: float) -> None:
    from matplotlib.ticker import LogLocator

    if logarithmic:
        axes.set_yscale("log")
    locator = LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0)) if logarithmic else axes.yaxis.get_major_locator()
    axes.set_yticks([tick for tick in locator.tick_values(bottom, ceiling) if bottom <= tick <= ceiling])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(bottom, top)
