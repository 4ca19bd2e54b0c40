"""A report, and an LR range test, as a page for people."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import Response

from tuner.report.pages.content_security import CONTENT_SECURITY_POLICY
from tuner.report.pages.formats import ReportFormat, rendered
from tuner.report.range_test import RangeTestFormat, rendered_range_test
from tuner.report.report import Report
from tuner.search.range_test.result import RangeTest

_MEDIA_TYPES: Final = {ReportFormat.MARKDOWN: "text/markdown", ReportFormat.HTML: "text/html"}
PAGE_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {media_type: {"schema": {"type": "string"}} for media_type in _MEDIA_TYPES.values()}}
}
"""The ``responses=`` of an operation that may return a `report_page`."""


_HEADERS: Final = {
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_PICTURE_TYPES: Final = {
    RangeTestFormat.SVG: "image/svg+xml",
    RangeTestFormat.PNG: "image/png",
    RangeTestFormat.HTML: "text/html",
}
RANGE_TEST_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {media_type: {"schema": {"type": "string"}} for media_type in _PICTURE_TYPES.values()}}
}
"""The ``responses=`` of an operation that may return a `range_test_page`."""


def report_page(report: Report, *, format: Literal[ReportFormat.MARKDOWN, ReportFormat.HTML]) -> Response:
    """The response that carries a report as a page.

    Args:
        report: The report.
        format: Format of the page.
    """
    return Response(rendered(report, format=format), media_type=_MEDIA_TYPES[format], headers=_HEADERS)


def range_test_page(test: RangeTest, *, format: RangeTestFormat) -> Response:
    """The response that carries a range test as a picture or a page.

    Args:
        test: With two points at least.
        format: Any but JSON.
    """
    content = rendered_range_test(test, format=format)
    return Response(content, media_type=_PICTURE_TYPES[format], headers=_HEADERS)
