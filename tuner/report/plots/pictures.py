"""The pictures of a report that are files of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from tuner.errors import InvalidValue
from tuner.report.plots.curves import draw_curves
from tuner.report.plots.estimates import draw_estimates
from tuner.report.plots.schedules import draw_schedules
from tuner.report.plots.style import add_title, as_png
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


def picture(report: Report, *, name: str) -> Figure:
    """A picture that stands alone, under its title.

    Args:
        report: What it shows.
        name: One of `PICTURES`.

    Raises:
        InvalidValue: There is no such picture.
    """
    if name not in _PICTURES:
        raise InvalidValue("picture", value=name, allowed=f"one of {', '.join(PICTURES)}")
    title, draw = _PICTURES[name]
    figure = draw(report)
    add_title(figure, title=f"{title}, {report.job_name or report.workload}")
    return figure


def picture_png(report: Report, *, name: str) -> bytes:
    """A picture as PNG; the arguments are those of `picture`."""
    return as_png(picture(report, name=name))
