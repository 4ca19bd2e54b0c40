"""An LR range test as text: its curve and its readings."""

from __future__ import annotations

import numpy as np

from tuner.report.terminal.chart import canvas_rows
from tuner.search.range_test.result import RangeReadings, RangeTest

_LABEL_WIDTH = 9
_READINGS = (
    ("steepest", "falls fastest", "a rate for a constant schedule, a cautious peak for others"),
    ("before_rise", "a tenth of the rise", "Smith's rule for the peak of a schedule"),
    ("last_stable", "last stable rate", "an upper bound of peaks"),
)


def range_test_text(test: RangeTest, *, width: int = 80, height: int = 12, ascii_only: bool = False) -> str:
    """The curve of the smoothed loss over the logarithm of the rate, the readings, and what they are good for.

    Args:
        test: Its result.
        width: Characters of a line, at least 40.
        height: Lines of the curve, at least 3.
        ascii_only: Whether to do without braille characters.
    """
    lines = [*_chart(test, width=max(width, 40), height=max(height, 3), ascii_only=ascii_only), test.summary]
    readings = _reading_lines(test.readings)
    if test.diverged:
        readings.append(f"{test.diverged} of {test.seeds} runs diverged before the last rate.")
    return "\n".join([*lines, *readings])


def _chart(test: RangeTest, *, width: int, height: int, ascii_only: bool) -> list[str]:
    if len(test.points) < 2:
        return []
    smooth = np.array([point.smoothed for point in test.points])
    low, high = float(smooth.min()), float(smooth.max())
    heights = (smooth - low) / ((high - low) or 1.0)
    columns = width - _LABEL_WIDTH - 2
    rows = canvas_rows(heights, columns=columns, rows=height, ascii_only=ascii_only)
    bar = "|" if ascii_only else "│"
    labels = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}
    drawn = [f"{labels.get(row, ''):>{_LABEL_WIDTH}} {bar}{line}".rstrip() for row, line in enumerate(rows)]
    first, last = f"{test.points[0].lr:.1e}", f"{test.points[-1].lr:.1e}"
    gap = " " * (columns - len(first) - len(last))
    return [*drawn, f"{'rate':>{_LABEL_WIDTH}}  {first}{gap}{last}", ""]


def _reading_lines(readings: RangeReadings) -> list[str]:
    return [
        f"  {words:<20} {rate:>8.2g}  {use}"
        for name, words, use in _READINGS
        if (rate := getattr(readings, name)) is not None
    ]
