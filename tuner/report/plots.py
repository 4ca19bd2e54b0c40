"""The pictures of a report, as PNG bytes. Matplotlib's object interface: no global state, no display, safe in threads.

The colours are those of Okabe and Ito (jfly.uni-koeln.de/color), which people with any common colour blindness can tell
apart; line styles and markers say the same once more.
"""

from __future__ import annotations

import io
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.report.report import Candidate, Report, TrialRow
from tuner.report.sampling import sampled
from tuner.report.wording import label_lines
from tuner.search.decisions import TrialStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_BLUE, _ORANGE, _GREEN, _VERMILION, _GREY, _BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#A8A8A8", "#222222"
_DPI = 150
_MARGIN = 0.01  # left of the title, as a share of the figure's width
_TITLE_WIDTH, _TICK_WIDTH = 90, 40  # characters of a line, for a figure 9 inches wide
_LANE = 0.06  # height of a lane above the losses, as a share of their range
_LOG_FROM = 3.0  # highest over lowest loss from which the loss axis is logarithmic


def schedules_png(report: Report) -> bytes:
    """The learning rate per update of the recommended and the best schedule, the best constant rate and the default."""
    figure, axes = _figure(height=4.2)
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
    return _png(figure, title=f"Learning rate per update, {_title(report)}")


def confirmations_png(report: Report) -> bytes:
    """Every confirmed candidate: its loss on each fresh seed as a dot, the median as a bar."""
    candidates = [candidate for candidate in report.candidates if candidate.losses]
    figure, axes = _figure(height=1.7 + 0.55 * max(len(candidates), 1))
    equals = {member.trial for member in report.plateau.members}
    for row, candidate in enumerate(candidates):
        colour = _BLUE if candidate.trial == report.best.trial else _GREEN if candidate.trial in equals else _GREY
        losses = [result.loss for result in candidate.losses if result.loss is not None]
        axes.scatter(losses, [row] * len(losses), s=34, color=colour, alpha=0.75, linewidths=0, zorder=3)
        if candidate.median is not None:
            axes.plot([candidate.median] * 2, [row - 0.32, row + 0.32], color=_BLACK, linewidth=2.2, zorder=4)
        if candidate.diverged:
            text = f"x diverged on {candidate.diverged} of {len(candidate.losses)}"
            axes.text(0.99, row, text, color=_VERMILION, transform=axes.get_yaxis_transform(), ha="right", va="center")
    axes.set_yticks(range(len(candidates)), [_tick(candidate, report=report) for candidate in candidates], fontsize=9)
    axes.set_ylim(len(candidates) - 0.4, -0.6)
    axes.set_xlabel(f"validation loss after {report.total_steps:,} updates\n(one dot per seed, bar: median)")
    axes.grid(axis="x", color="#E5E5E5")
    handles = [_dot(_BLUE, "best"), _dot(_GREEN, "cannot be told from it"), _dot(_GREY, "others")]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return _png(figure, title=f"Confirmed on fresh seeds, {_title(report)}")


def ladder_png(report: Report) -> bytes:
    """Every trial's loss at every rung that it reached, joined by a line: who went on, who was pruned, who diverged."""
    figure, axes = _figure(height=4.8)
    floor, ceiling = _loss_range(report.trials)
    logarithmic = floor > 0 and ceiling > _LOG_FROM * floor
    bottom, off_scale, diverged, top = _lanes(floor, ceiling, logarithmic=logarithmic)
    for trial in report.trials:
        colour, width, order = _trial_style(trial, report=report)
        heights = [diverged if loss is None else off_scale if loss > ceiling else loss for loss in trial.losses]
        markers = ["X" if loss is None else "^" if loss > ceiling else "o" for loss in trial.losses]
        axes.plot(range(len(heights)), heights, color=colour, linewidth=width, zorder=order, alpha=0.85)
        for rung, (height, marker) in enumerate(zip(heights, markers, strict=True)):
            shade = _VERMILION if marker == "X" else colour
            axes.plot(rung, height, marker=marker, color=shade, markersize=6, zorder=order + 1)
    _label_lanes(axes, report.trials, ceiling=ceiling, lanes={"^": off_scale, "X": diverged})
    _loss_axis(axes, logarithmic=logarithmic, bottom=bottom, ceiling=ceiling, top=top)
    axes.set_xticks(range(len(report.rung_steps)), [f"{steps:,}" for steps in report.rung_steps])
    axes.set_xlim(-0.15, len(report.rung_steps) - 0.75)
    axes.set_xlabel("rung: updates of the complete, compressed schedule")
    axes.set_ylabel("validation loss at the rung's end" + (" (log scale)" if logarithmic else ""))
    axes.grid(axis="y", color="#E5E5E5")
    handles = [
        _line(_BLUE, "best", width=2.6),
        _line(_ORANGE, "trained to the horizon"),
        _line(_GREY, "pruned or failed"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return _png(figure, title=f"The search, rung by rung, {_title(report)}")


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
            color=_VERMILION if marker == "X" else _BLACK,
        )


def _shown_schedules(report: Report) -> list[tuple[str, Candidate, str, str, float]]:
    shown = [("best", report.best, _BLUE, "-", 2.6)]
    if report.recommended.trial != report.best.trial:
        shown.insert(0, ("recommended", report.recommended, _VERMILION, "-", 2.0))
    if report.best_constant is not None:
        shown.append(("best constant rate", report.candidate(report.best_constant.trial), _ORANGE, "--", 1.8))
    if report.default is not None:
        shown.append(("default", report.candidate(report.default.trial), _GREEN, "-.", 1.8))
    return shown


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


def _trial_style(trial: TrialRow, *, report: Report) -> tuple[str, float, float]:
    """Colour, line width and drawing order."""
    if trial.number == report.best.trial:
        return _BLUE, 2.6, 5.0
    if trial.status is TrialStatus.COMPLETED:
        return _ORANGE, 1.4, 3.0
    return _GREY, 1.0, 1.0


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


def _title(report: Report) -> str:
    return report.job_name or report.workload


def _figure(*, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, height), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _dot(colour: str, label: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker="o", linestyle="none", label=label)


def _line(colour: str, label: str, *, width: float = 1.4) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linewidth=width, marker="o", markersize=5, label=label)


def _png(figure: Figure, *, title: str) -> bytes:
    text = textwrap.fill(title, width=_TITLE_WIDTH)
    figure.suptitle(text, x=_MARGIN, ha="left", fontsize=11, fontweight="bold")  # from the figure's edge, not the axes'
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
