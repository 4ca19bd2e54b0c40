"""A report as a page to read."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import Response

from tuner.report.pages.content_security import CONTENT_SECURITY_POLICY
from tuner.report.pages.formats import ReportFormat, rendered
from tuner.report.report import Report
from tuner_service.jobs.example_report import REPORT

_MEDIA_TYPES: Final = {ReportFormat.MARKDOWN: "text/markdown", ReportFormat.HTML: "text/html"}
PAGES: Final[dict[str, Any]] = {
    "text/markdown": {"schema": {"type": "string"}, "example": f"# Schedule report: {REPORT.job_name}\n"},
    "text/html": {"schema": {"type": "string"}, "example": '<!doctype html>\n<html lang="en">...'},
}
"""What an operation that answers with `page` may give, by media type."""


def page(report: Report, *, format: Literal[ReportFormat.MARKDOWN, ReportFormat.HTML]) -> Response:
    """The answer that carries a report as a page.

    Args:
        report: The report.
        format: How it is written.
    """
    headers = {
        "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
        "Referrer-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }
    return Response(rendered(report, format=format), media_type=_MEDIA_TYPES[format], headers=headers)
