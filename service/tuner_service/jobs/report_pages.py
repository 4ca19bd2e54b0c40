"""A report as a page for people."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import Response

from tuner.report.pages.content_security import CONTENT_SECURITY_POLICY
from tuner.report.pages.formats import ReportFormat, rendered
from tuner.report.report import Report

_MEDIA_TYPES: Final = {ReportFormat.MARKDOWN: "text/markdown", ReportFormat.HTML: "text/html"}
PAGE_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {media_type: {"schema": {"type": "string"}} for media_type in _MEDIA_TYPES.values()}}
}
"""The ``responses=`` of an operation that may return a `report_page`."""


def report_page(report: Report, *, format: Literal[ReportFormat.MARKDOWN, ReportFormat.HTML]) -> Response:
    """The response that carries a report as a page.

    Args:
        report: The report.
        format: Format of the page.
    """
    headers = {
        "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
        "Referrer-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }
    return Response(rendered(report, format=format), media_type=_MEDIA_TYPES[format], headers=headers)
