"""The text formats of a report."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.report.report import Report


class ReportFormat(StrEnum):
    """A text format of reports."""

    JSON = "json"
    """The values, as `tuner.report.report.Report` reads them."""
    MARKDOWN = "markdown"
    """A page of text and tables."""
    HTML = "html"
    """One page that needs nothing else, with pictures."""


def rendered(report: Report, *, format: ReportFormat) -> str:
    """The report as a text, with a newline at its end."""
    match format:
        case ReportFormat.JSON:
            return report.model_dump_json(indent=2) + "\n"
        case ReportFormat.MARKDOWN:
            from tuner.report.pages.markdown import markdown_page

            return markdown_page(report)
        case ReportFormat.HTML:
            from tuner.report.pages.html import html_page

            return html_page(report)
