"""The report as one self-contained HTML file: no script, and no font or picture from elsewhere."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from tuner.report.pages.content_security import CONTENT_SECURITY_POLICY
from tuner.report.pages.view import view_of
from tuner.report.plots.curves import draw_curves
from tuner.report.plots.estimates import draw_estimates
from tuner.report.plots.importances import draw_importances
from tuner.report.plots.schedules import draw_schedules
from tuner.report.plots.sensitivity import draw_sensitivity
from tuner.report.plots.style import as_svg
from tuner.report.report import Report


def html_page(report: Report) -> str:
    """The report as a page.

    All values are escaped, and the page's policy forbids scripts and external resources.
    Equal reports give equal pages.
    """
    pictures = {name: Markup(svg) for name, svg in _pictures(report).items()}
    return _template().render(report=report, view=view_of(report), pictures=pictures, policy=CONTENT_SECURITY_POLICY)


def _pictures(report: Report) -> dict[str, str]:
    steps, metric = f"{report.total_steps:,}", report.metric.name
    pictures = {
        "schedules": as_svg(
            draw_schedules(report),
            name="schedules",
            alt=f"Learning rate over {steps} updates: {report.recommended.label} is recommended.",
        ),
        "estimates": as_svg(
            draw_estimates(report),
            name="estimates",
            alt=f"The {metric} of every candidate on each seed, and its expected value with a 95 % interval; the table "
            "of candidates has the numbers.",
        ),
    }
    if report.curves:
        pictures["curves"] = as_svg(
            draw_curves(report),
            name="curves",
            alt=f"The {metric} of {len(report.curves)} runs over their updates; "
            f"{len(report.early_stops.stopped)} were stopped early.",
        )
    return pictures | _pictures_of_insights(report)


def _pictures_of_insights(report: Report) -> dict[str, str]:
    pictures = {}
    if report.sensitivity is not None and report.sensitivity.points:
        alt = f"The {report.metric.name} against the peak learning rate; the table below it has the numbers."
        figure = draw_sensitivity(report.sensitivity, metric=report.metric)
        pictures["sensitivity"] = as_svg(figure, name="sensitivity", alt=alt)
    if report.importances is not None:
        groups = {"common": report.importances.common, **report.importances.families}
        for group, importances in groups.items():
            if importances:
                name = f"importances-{group}"
                alt = "; ".join(f"{one.name} {100 * one.share:.0f} %" for one in importances)
                pictures[name] = as_svg(draw_importances(importances), name=name, alt=f"Importance: {alt}.")
    return pictures


@cache
def environment() -> Environment:
    """The templates of HTML, which escape what they are filled with."""
    return Environment(
        loader=PackageLoader("tuner.report.pages"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _template() -> Template:
    return environment().get_template("report.html.jinja")
