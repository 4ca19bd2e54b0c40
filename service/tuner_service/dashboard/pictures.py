"""Plots of learning rates: one schedule as SVG, several as a Plotly figure for the dashboard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

import numpy as np

from tuner.schedules import Schedule
from tuner.schedules.values import Losses

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 12, 12, 34
_SVG_POINTS = 400
_FIGURE_POINTS = 150


def schedule_svg(schedule: Schedule, *, total_steps: int, losses: Losses = ()) -> str:
    """Draw the learning rate of a run.

    Args:
        schedule: The schedule to draw.
        total_steps: Updates of the run.
        losses: Its evaluations, for a schedule that follows them.

    Returns:
        An SVG document without scripts, external styles or links.
    """
    updates, lrs = _sampled(schedule, total_steps=total_steps, points=_SVG_POINTS, losses=losses)
    top = max(lrs) or 1.0
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    last = max(total_steps - 1, 1)
    line = " ".join(
        f"{_LEFT + width * update / last:.1f},{_TOP + height * (1 - lr / top):.1f}"
        for update, lr in zip(updates, lrs, strict=True)
    )
    bottom = _TOP + height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="12"><title>{escape(schedule.label)}</title>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}" fill="none" stroke="#888"/>'
        f'<polyline points="{line}" fill="none" stroke="#1565c0" stroke-width="2"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 10}" text-anchor="end">{top:.2e}</text>'
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 12}">0</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 12}" text-anchor="end">{total_steps:,} updates</text>'
        "</svg>"
    )


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
        updates, lrs = _sampled(schedule, total_steps=total_steps, points=_FIGURE_POINTS)
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


def _sampled(
    schedule: Schedule, *, total_steps: int, points: int, losses: Losses = ()
) -> tuple[list[int], list[float]]:
    updates = np.unique(np.linspace(0, total_steps - 1, num=points).round().astype(np.int64))
    lrs = schedule.lrs_at(updates, total_steps=total_steps, losses=losses)
    return updates.tolist(), [float(f"{lr:.6g}") for lr in lrs.tolist()]
