"""The report in short, as a part of a page: what a notebook shows."""

from __future__ import annotations

from functools import cache

from jinja2 import Template
from markupsafe import Markup

from tuner.report.pages.html import environment
from tuner.report.pages.view import view_of
from tuner.report.plots.curves import draw_curves
from tuner.report.plots.style import as_svg
from tuner.report.report import Report


def html_fragment(report: Report) -> str:
    """The verdict, the recommended schedule, the comparisons, the code to paste, and the learning curves.

    All values are escaped. It has no scripts, and no styles that reach beyond it.
    """
    alt = f"The {report.metric.name} of {len(report.curves)} runs over their updates."
    # Two reports in one notebook must not share the names of their parts.
    curves = as_svg(draw_curves(report), name=f"curves-{report.job_id[:8]}", alt=alt) if report.curves else ""
    best = report.recommended
    schedule = best.schedule.to_svg(report.total_steps, losses=report.losses_of(best.trial))
    return _template().render(
        report=report,
        view=view_of(report),
        curves=Markup(curves),
        schedule=Markup(schedule),
    )


@cache
def _template() -> Template:
    return environment().get_template("fragment.html.jinja")
