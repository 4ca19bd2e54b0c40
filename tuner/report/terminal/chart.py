"""A schedule drawn with characters: braille dots, or plain ASCII for terminals without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotille
from numpy.typing import NDArray

from tuner.report.sampling import sampled
from tuner.schedules import Schedule
from tuner.schedules.values import Losses

MIN_WIDTH = 30
MIN_HEIGHT = 3
_DECADES = 4  # span of the log axis below the peak; what is lower, zero included, lies on its lower edge
_LABEL_WIDTH = 8  # "1.00e-02"
_TICKS = 4  # intervals of the update axis
_DOTS_ACROSS, _DOTS_DOWN = 2, 4  # of one braille character


@dataclass(frozen=True, kw_only=True)
class _Axes:
    vertical: str
    tick_left: str
    corner: str
    horizontal: str
    tick_down: str


_UNICODE = _Axes(vertical="│", tick_left="┤", corner="└", horizontal="─", tick_down="┬")
_ASCII = _Axes(vertical="|", tick_left="+", corner="+", horizontal="-", tick_down="+")


def draw_schedule(
    schedule: Schedule,
    *,
    total_steps: int,
    width: int = 80,
    height: int = 15,
    log: bool = False,
    ascii_only: bool = False,
    losses: Losses = (),
) -> str:
    """Draw the learning rate over the updates.

    Args:
        schedule: The schedule.
        total_steps: The horizon in updates, at least 1.
        width: Characters per line, axis labels included; `MIN_WIDTH` when less.
        height: Lines of the drawing, the two of the update axis not counted; `MIN_HEIGHT` when less.
        log: Whether the rate axis is logarithmic, four decades down from the highest rate. It starts at zero otherwise.
        ascii_only: Whether to do without braille and box characters.
        losses: Evaluations of a run, for a schedule that follows them.

    Returns:
        ``height + 2`` lines without trailing spaces, no newline at the end.
    """
    columns = max(width, MIN_WIDTH) - _LABEL_WIDTH - 2
    rows = max(height, MIN_HEIGHT)
    _, lrs = sampled(schedule, total_steps=total_steps, losses=losses)
    peak = float(lrs.max())
    heights = _heights(lrs, peak=peak, log=log)
    axes = _ASCII if ascii_only else _UNICODE
    labels = {row: _rate_at(1.0 - row / (rows - 1), peak=peak, log=log) for row in (0, rows // 2, rows - 1)}
    lines = [
        f"{labels.get(row, ''):>{_LABEL_WIDTH}} {axes.tick_left if row in labels else axes.vertical}{line}".rstrip()
        for row, line in enumerate(canvas_rows(heights, columns=columns, rows=rows, ascii_only=ascii_only))
    ]
    return "\n".join([*lines, *_update_axis(total_steps, columns=columns, axes=axes)])


def canvas_rows(
    heights: NDArray[np.float64],  # [n]
    *,
    columns: int,
    rows: int,
    ascii_only: bool,
) -> Sequence[str]:
    """A line through evenly spaced heights, drawn with characters.

    Args:
        heights: Each in [0, 1].
        columns: Characters of a line.
        rows: Lines.
        ascii_only: Whether to do without braille characters.
    """
    canvas = _ascii_canvas if ascii_only else _braille_canvas
    return canvas(heights, columns=columns, rows=rows)


def _heights(lrs: NDArray[np.float64], *, peak: float, log: bool) -> NDArray[np.float64]:
    """Where each rate lies on the rate axis, in [0, 1]."""
    if not log:
        return lrs / peak
    lowest = peak * 10.0**-_DECADES
    return np.log10(np.maximum(lrs, lowest) / lowest) / _DECADES


def _rate_at(height: float, *, peak: float, log: bool) -> str:
    rate = peak * 10.0 ** (_DECADES * (height - 1.0)) if log else peak * height
    return "0" if rate == 0.0 else f"{rate:.2e}"


def _braille_canvas(heights: NDArray[np.float64], *, columns: int, rows: int) -> Sequence[str]:
    across, down = columns * _DOTS_ACROSS, rows * _DOTS_DOWN
    canvas = plotille.Canvas(width=columns, height=rows, xmax=across, ymax=down)  # so that a dot is 1 by 1
    for column, (low, high) in enumerate(_strokes(heights, across=across, down=down)):
        canvas.line(column, low, column, high)
    drawn: str = canvas.plot()
    return drawn.replace("\u2800", " ").split("\n")


def _ascii_canvas(heights: NDArray[np.float64], *, columns: int, rows: int) -> Sequence[str]:
    strokes = _strokes(heights, across=columns, down=rows)
    return ["".join("*" if low <= row <= high else " " for low, high in strokes) for row in reversed(range(rows))]


def _strokes(heights: NDArray[np.float64], *, across: int, down: int) -> list[tuple[int, int]]:
    """The upright stroke of each column of dots: from its lowest to its highest update, joined to the column before.

    Args:
        heights: One per update, in [0, 1].
        across: Columns of dots.
        down: Rows of dots; 0 is the bottom.

    Returns:
        First and last row of each column.
    """
    if len(heights) < across:
        heights = heights[np.linspace(0.0, len(heights) - 1, across).round().astype(int)]
    starts = np.linspace(0, len(heights), across, endpoint=False).astype(int)
    low = np.rint(np.minimum.reduceat(heights, starts) * (down - 1)).astype(int)
    high = np.rint(np.maximum.reduceat(heights, starts) * (down - 1)).astype(int)
    joined_low = np.minimum(low[1:], high[:-1] + 1)
    joined_high = np.maximum(high[1:], low[:-1] - 1)
    return [
        (int(low[0]), int(high[0])),
        *zip(np.minimum(joined_low, joined_high).tolist(), joined_high.tolist(), strict=True),
    ]


def _update_axis(total_steps: int, *, columns: int, axes: _Axes) -> tuple[str, str]:
    """The line of the axis and the line of its labels."""
    left = _LABEL_WIDTH + 2
    places = [round(tick * (columns - 1) / _TICKS) for tick in range(_TICKS + 1)]
    axis = [axes.tick_down if column in places else axes.horizontal for column in range(columns)]
    labels = f"{'updates':>{_LABEL_WIDTH}}".ljust(left + columns)
    for tick in (_TICKS, 0, *range(1, _TICKS)):  # the ends first: a short line has no room for those between
        text = f"{round(tick * total_steps / _TICKS):,}"
        start = min(left + places[tick] - len(text) // 2, left + columns - len(text))
        end = start + len(text)
        if not labels[start - 1 : end + 2].strip():
            labels = labels[:start] + text + labels[end:]
    return " " * (left - 1) + axes.corner + "".join(axis), labels.rstrip()
