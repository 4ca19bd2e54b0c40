"""Line charts as SVG text: numpy alone, no fonts, scripts or styles from elsewhere, so that they draw anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 12, 28, 34


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a chart.

    Attributes:
        xs: ``[n]``, ascending.
        ys: ``[n]``, finite; what lies outside the chart's range is drawn at its edge.
        colour: As SVG takes it.
        width: Of the line, in pixels.
        has_end: Whether a dot marks its last point: it grows.
    """

    xs: Sequence[float]
    ys: Sequence[float]
    colour: str
    width: float = 2.0
    has_end: bool = False


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The range of an axis and the texts at its ends.

    Attributes:
        low: The value at its start.
        high: The value at its end, above ``low``.
        labels: The texts at start and end.
        is_log: Whether it is logarithmic; then ``low`` is above 0.
    """

    low: float
    high: float
    labels: tuple[str, str]
    is_log: bool = False

    def places(self, values: Sequence[float]) -> NDArray[np.float64]:
        """Where values lie between its start, 0, and its end, 1: ``[n]``."""
        inside = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        if self.is_log:
            places: NDArray[np.float64] = np.log(inside / self.low) / np.log(self.high / self.low)
        else:
            places = (inside - self.low) / (self.high - self.low)
        return places


def line_chart(lines: Sequence[Line], *, x: Axis, y: Axis, title: str) -> str:
    """Draw lines, the later ones over the earlier.

    Args:
        lines: At least one point each.
        x: The horizontal axis.
        y: The vertical axis.
        title: What it shows, above it.

    Returns:
        An SVG document on a white ground. All text is escaped; equal arguments give equal text.
    """
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    (x_low, x_high), (y_low, y_high) = ((escape(one) for one in axis.labels) for axis in (x, y))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12"><title>{escape(title)}</title>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
        f'<text x="{_LEFT}" y="16">{escape(title)}</text>'
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="#888"/>'
        f"{''.join(_drawn(line, x=x, y=y) for line in lines)}"
        f'<text x="{_LEFT - 6}" y="{_TOP + 10}" text-anchor="end">{y_high}</text>'
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">{y_low}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 12}">{x_low}</text>'
        f'<text x="{right}" y="{_HEIGHT - 12}" text-anchor="end">{x_high}</text>'
        "</svg>"
    )


def _drawn(line: Line, *, x: Axis, y: Axis) -> str:
    xs = _LEFT + (_WIDTH - _LEFT - _RIGHT) * x.places(line.xs)
    ys = _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1.0 - y.places(line.ys))
    points = " ".join(f"{across:.1f},{down:.1f}" for across, down in zip(xs.tolist(), ys.tolist(), strict=True))
    colour = escape(line.colour)
    drawn = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{line.width:g}"/>'
    if line.has_end:
        drawn += f'<circle cx="{xs[-1]:.1f}" cy="{ys[-1]:.1f}" r="3.5" fill="{colour}"/>'
    return drawn
