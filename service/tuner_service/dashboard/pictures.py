"""A plot of the learning rates of several schedules, as a Plotly figure for the dashboard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

import numpy as np

from tuner.schedules import Schedule

_POINTS = 150


def schedules_figure(schedules: Sequence[tuple[str, str, Schedule]], *, total_steps: int) -> str:
    """Plot several schedules in one figure.

    Args:
        schedules: A short name of each, for the legend; its label, shown where the pointer is; and the schedule.
        total_steps: Updates of the run.

    Returns:
        A Plotly figure as JSON.
    """
    lines = []
    for name, label, schedule in schedules:
        updates, lrs = _sampled(schedule, total_steps=total_steps)
        hover = f"{escape(label)}<br>update %{{x}}: %{{y:.3g}}<extra></extra>"
        line = {"type": "scatter", "mode": "lines", "name": name, "hovertemplate": hover}
        lines.append({**line, "x": updates, "y": lrs})
    layout = {
        "title": {"text": "Learning rates"},
        "xaxis": {"title": {"text": "update"}},
        "yaxis": {"title": {"text": "learning rate"}, "rangemode": "tozero"},
        # Below the plot: beside it, the legend would leave no room for the plot in a narrow card.
        "legend": {"orientation": "h", "x": 0, "y": -0.25, "yanchor": "top", "font": {"size": 10}},
        "margin": {"l": 60, "r": 20, "t": 40},
    }
    return json.dumps({"data": lines, "layout": layout})


def _sampled(schedule: Schedule, *, total_steps: int) -> tuple[list[int], list[float]]:
    updates = np.unique(np.linspace(0, total_steps - 1, num=_POINTS).round().astype(np.int64))
    lrs = schedule.lrs_at(updates, total_steps=total_steps)
    return updates.tolist(), [float(f"{lr:.6g}") for lr in lrs.tolist()]
