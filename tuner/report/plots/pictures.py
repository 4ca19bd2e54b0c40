"""The pictures of a report that are files of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from tuner.report.plots.curves import draw_curves
from tuner.report.plots.estimates import draw_estimates
from tuner.report.plots.schedules import draw_schedules
from tuner.report.plots.style import as_png
from tuner.report.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PICTURES: Final[Mapping[str, tuple[str, Callable[[Report], Figure]]]] = {
    "schedules": ("Learning rate per update", draw_schedules),
    "estimates": ("Expected and measured", draw_estimates),
    "curves": ("Learning curves", draw_curves),
}
PICTURES: Final = tuple(_PICTURES)
"""Their names."""


def picture_png(report: Report, *, name: str) -> bytes:
    """A picture as PNG.

    Args:
        report: What it shows.
        name: One of `PICTURES`.
    """
    title, draw = _PICTURES[name]
    return as_png(draw(report), title=f"{title}, {report.job_name or report.workload}")
