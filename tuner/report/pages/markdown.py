"""The report as Markdown, for issues, wikis and notebooks."""

from __future__ import annotations

import html
import re
from functools import cache
from itertools import chain, zip_longest
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
    """Escape text of any origin, on one line; HTML as entities, since not every reader knows a backslash before it."""
    return _plain_part(text).strip()


def _plain_part(text: str) -> str:
    return html.escape(re.sub(r"([\\`*_{}\[\]#|~!])", r"\\\1", re.sub(r"\s+", " ", text)), quote=False)


def sentence(text: str) -> _Markdown:
    """A sentence of the report: the commands in it, between backticks, stay code; all else is escaped."""
    parts = text.split("`")
    # A backtick of its own, or one that is not ours: no command has a character that HTML knows.
    if len(parts) % 2 == 0 or any(re.search("[<>&]", part) for part in parts[1::2]):
        return _Markdown(plain(text))
    code = (f"`{' '.join(part.split())}`" if part.strip() else "" for part in parts[1::2])
    words = (_plain_part(part) for part in parts[::2])
    return _Markdown("".join(chain.from_iterable(zip_longest(words, code, fillvalue=""))))


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
    environment.filters["sentence"] = sentence
    return environment.get_template("report.md.jinja")


def _escaped(value: Any) -> str:
    return value if isinstance(value, _Markdown) else plain(str(value))
