"""The style of a report's pictures, and their conversion to files.

Matplotlib's object interface: no display, and no global state but two settings of the SVG writer, behind a lock.
The colours are those of Okabe and Ito (jfly.uni-koeln.de/color), which people with any common colour blindness can
distinguish; line styles and markers repeat the distinction.
"""

from __future__ import annotations

import io
import re
import textwrap
import threading
from html import escape
from typing import TYPE_CHECKING, Final

from tuner.metric import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

BLUE, ORANGE, GREEN, VERMILION = "#0072b2", "#e69f00", "#009e73", "#d55e00"
GREY, BLACK, GRID = "#a8a8a8", "#222222", "#e5e5e5"
_DPI: Final = 150
_MARGIN: Final = 0.01  # left of the title, as a share of the figure's width
_TITLE_WIDTH: Final = 90  # characters of a line, for a figure 9 inches wide
_SVG_LOCK: Final = threading.Lock()
_STROKES: Final = 'stroke-linejoin="round" stroke-linecap="butt"'
_PAGE_COLOURS: Final = {BLACK: "currentColor", "#000000": "currentColor", GRID: "var(--grid)"}


def new_figure(*, height: float) -> tuple[Figure, Axes]:
    """A figure 9 inches wide, with one pair of axes."""
    from tuner.report.plots.figure import ReportFigure

    figure = ReportFigure(figsize=(9.0, height), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def axis_label(metric: Metric) -> str:
    """A metric with its unit, as the label of an axis; a dollar sign is no mathematics there."""
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.name}{unit}".replace("$", r"\$")


def dot(colour: str, label: str) -> Line2D:
    """A dot of a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker="o", linestyle="none", label=label)


def line(colour: str, label: str, *, width: float = 1.4, marker: str = "") -> Line2D:
    """A line of a legend, or a marker where it has no width."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linewidth=width, marker=marker, markersize=5, label=label)


def add_title(figure: Figure, *, title: str) -> None:
    """Set a title above a figure that stands alone."""
    text = textwrap.fill(title, width=_TITLE_WIDTH)
    title_text = figure.suptitle(text, x=_MARGIN, ha="left", fontsize=11, fontweight="bold")  # from the figure's edge
    title_text.set_parse_math(False)  # a name with dollars in it is a name


def as_png(figure: Figure) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def as_svg(figure: Figure, *, name: str, alt: str) -> str:
    """A figure as an element of a page, in the page's colour and font.

    Args:
        figure: The figure.
        name: Different for each figure of a page: what its parts are named after.
        alt: What it shows, for people who do not see it.

    Returns:
        An ``<svg>`` element. Its text is text, escaped by matplotlib; equal figures give equal elements.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    with _SVG_LOCK, rc_context({"svg.fonttype": "none", "svg.hashsalt": "tuner"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)  # its style is one of the whole page
    svg = re.sub(r' id="|(?<=url\(#)|(?<=href="#)', lambda found: f"{found.group()}{name}-", svg)
    for colour, variable in _PAGE_COLOURS.items():
        svg = svg.replace(f"fill: {colour}", f"fill: {variable}").replace(f"stroke: {colour}", f"stroke: {variable}")
    svg = re.sub(r"(font:[^;\"]*?) '[^;\"]*", r"\1 system-ui, sans-serif", svg)
    size = re.search(r'viewBox="[^"]*"', svg)
    box = size.group() if size else ""
    return re.sub(r"<svg [^>]*>", f'<svg {box} {_STROKES} role="img" aria-label="{escape(alt)}">', svg, count=1)
