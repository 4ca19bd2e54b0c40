"""The report as Markdown, for issues, wikis and notebooks."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from tuner.report.pages.view import view_of
from tuner.report.report import Report


class _Markdown(str):
    """Text that is Markdown already."""


def markdown_page(report: Report) -> str:
    """The report as GitHub's Markdown: tables, no pictures, a newline at its end.

    All values are escaped: no name, option or error can put markup of its own into the page.
    """
    return _template().render(report=report, view=view_of(report))


def plain(text: str) -> str:
    """Escape text of any origin, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&!])", r"\\\1", " ".join(text.split()))


def fenced(text: str, language: str = "") -> _Markdown:
    """Text as a block of code, between fences that are longer than any in it."""
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return _Markdown(f"{fence}{language}\n{text.rstrip()}\n{fence}")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("tuner.report.pages"),
        undefined=StrictUndefined,
        finalize=_escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["fenced"] = fenced
    return environment.get_template("report.md.jinja")


def _escaped(value: Any) -> str:
    return value if isinstance(value, _Markdown) else plain(str(value))
