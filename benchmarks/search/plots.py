"""The pictures of docs/benchmarks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.search.oracle import TASKS
from benchmarks.search.replay import COSTS, PART, WHOLE
from benchmarks.search.replay_rivals import RIVALS
from benchmarks.search.study import BUDGET
from benchmarks.search.training import median_loss

_STYLE: Any = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9, "svg.hashsalt": "tuner"}


def replay_plot(result: dict[str, Any], *, file: Path) -> None:
    """Mean regret against cost."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        for axes, setting in zip(figure.subplots(1, 2, sharey=True), (WHOLE, PART), strict=True):
            for name in (*RIVALS, "ours"):
                mean = {float(cost): value for cost, value in result[setting][name]["mean"].items()}
                costs = [cost for cost in COSTS if cost in mean]
                style = {"color": "black", "linewidth": 2.2} if name == "ours" else {"linewidth": 1.0}
                axes.plot(costs, [1e3 * mean[cost] for cost in costs], marker=".", label=name, **style)
            axes.set(title=setting, xlabel="updates, in full runs", ylim=(-0.3, 16))
        figure.axes[0].set_ylabel("mean regret, 1/1000 nat")
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside right center"
        )
        figure.savefig(file)


def training_plot(rows: list[dict[str, Any]], *, file: Path) -> None:
    """Every study's final loss, by task and method; recommendations that diverge are drawn at the upper edge."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        for axes, task in zip(figure.subplots(1, len(TASKS)), TASKS, strict=True):
            of_task = [row for row in rows if row["task"] == task.name]
            losses = {
                method: np.array([median_loss(row, budget=BUDGET) for row in of_task if row["method"] == method])
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
