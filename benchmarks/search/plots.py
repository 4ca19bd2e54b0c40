"""The pictures of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.search.oracle import TASKS
from benchmarks.search.training import median_loss

_STYLE: Any = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9, "svg.hashsalt": "tuner"}
_COLUMNS = 3


def replay_plot(summaries: Mapping[str, dict[str, Any]], *, file: Path) -> None:
    """Mean regret against cost, a panel for each table.

    Args:
        summaries: By table, `benchmarks.search.measures.summary`.
        file: The SVG to write.
    """
    with mpl.rc_context(_STYLE):
        rows = -(-len(summaries) // _COLUMNS)
        figure = Figure(figsize=(9, 2.8 * rows), layout="constrained")
        panels = figure.subplots(rows, _COLUMNS, squeeze=False).flat
        for axes, (table, summary) in zip(panels, summaries.items(), strict=False):
            found = [row for row in summary["recommendations"] if row["with_result"]]
            for method in dict.fromkeys(row["method"] for row in found):
                own = [row for row in found if row["method"] == method]
                style = {"color": "black", "linewidth": 2.2} if method == "ours" else {"linewidth": 1.0}
                axes.plot(
                    [row["budget"] for row in own],
                    [1e3 * row["regret"] for row in own],
                    label=method,
                    marker=".",
                    **style,
                )
            axes.set(title=table, xlabel="full runs", yscale="symlog")
        for axes in list(panels)[len(summaries) :]:
            axes.set_axis_off()
        figure.axes[0].set_ylabel("mean regret, thousandths")
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(*handles, frameon=False, fontsize=8, loc="outside lower center", ncols=4)
        figure.savefig(file)


def training_plot(rows: list[dict[str, Any]], *, file: Path) -> None:
    """Every study's final loss, by task and method; recommendations that diverge are drawn at the upper edge."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        for axes, task in zip(figure.subplots(1, len(TASKS)), TASKS, strict=True):
            of_task = [row for row in rows if row["task"] == task.name]
            losses = {
                method: np.array([median_loss(row) for row in of_task if row["method"] == method])
                for method in sorted({row["method"] for row in of_task})
            }
            order = sorted(losses, key=lambda method: float(np.median(losses[method])))
            finite = np.concatenate([one[np.isfinite(one)] for one in losses.values()])
            top = float(np.quantile(finite, 0.9))
            for place, method in enumerate(order):
                values = np.minimum(losses[method], top)
                jitter = np.linspace(-0.2, 0.2, len(values))
                axes.plot(values, place + jitter, ".", color="black" if method == "ours" else "gray", markersize=4)
                axes.plot(
                    [min(float(np.median(losses[method])), top)] * 2, [place - 0.35, place + 0.35], color="tab:red"
                )
            axes.set(yticks=range(len(order)), yticklabels=order, title=task.name, xlabel="loss on fresh seeds")
            axes.invert_yaxis()
        figure.savefig(file)
