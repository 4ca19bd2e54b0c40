"""What decided the result, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuner.report.insights import ParameterImportance
from tuner.report.plots.style import BLUE, GREY, dot, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_importances(importances: Sequence[ParameterImportance]) -> Figure:
    """One bar for each parameter of a group, grey where chance makes as much.

    Args:
        importances: The most important first; at least one.
    """
    figure, axes = new_figure(height=1.1 + 0.42 * len(importances))
    shares = [100 * one.share for one in importances]
    colours = [BLUE if one.above_chance else GREY for one in importances]
    axes.barh(range(len(importances)), shares, color=colours, height=0.6)
    for row, share in enumerate(shares):
        axes.text(share + 1, row, f"{share:.0f} %", va="center", fontsize=9)
    axes.set_yticks(range(len(importances)), [one.name for one in importances])
    axes.set_ylim(len(importances) - 0.4, -0.6)
    axes.set_xlim(0, 112)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_xlabel("share of the importance in %")
    handles = [dot(BLUE, "more than chance"), dot(GREY, "no more than chance")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure
