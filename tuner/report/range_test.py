"""The result of an LR range test in its formats."""

from __future__ import annotations

from enum import StrEnum
from html import escape
from typing import Final

from tuner.report.plots.range_test import draw_range_test
from tuner.report.plots.style import add_title, as_png, as_svg
from tuner.search.range_test.result import RangeTest

_TITLE: Final = "LR range test"


class RangeTestFormat(StrEnum):
    """Formats of a range test."""

    JSON = "json"
    SVG = "svg"
    PNG = "png"
    HTML = "html"


def rendered_range_test(test: RangeTest, *, format: RangeTestFormat) -> bytes:
    """A range test as JSON, as a picture, or as a page for people.

    Args:
        test: With at least two points, for all formats but JSON.
        format: Of the result.
    """
    match format:
        case RangeTestFormat.JSON:
            return test.model_dump_json(indent=2).encode()
        case RangeTestFormat.PNG:
            figure = draw_range_test(test)
            add_title(figure, title=f"{_TITLE}. {test.summary}")
            return as_png(figure)
        case RangeTestFormat.SVG:
            return _svg(test).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).encode()
        case RangeTestFormat.HTML:
            return _page(test).encode()


def _svg(test: RangeTest) -> str:
    return as_svg(draw_range_test(test), name="range-test", alt=f"{_TITLE}: {test.summary}")


def _page(test: RangeTest) -> str:
    rows = "".join(
        f"<tr><td>{name}</td><td>{'' if rate is None else f'{rate:.3g}'}</td><td>{use}</td></tr>"
        for name, rate, use in (
            ("falls fastest", test.readings.steepest, "a rate for a constant schedule, a cautious peak for others"),
            ("a tenth of the rise", test.readings.before_rise, "Smith's rule for the peak of a schedule"),
            ("last stable rate", test.readings.last_stable, "an upper bound of peaks"),
        )
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_TITLE}</title>'
        "<style>:root{color-scheme:light dark;--grid:#8884}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;"
        "margin:2rem auto;padding:0 1rem}td{padding:.2rem 1rem .2rem 0}svg{max-width:100%}</style></head><body>"
        f"<h1>{_TITLE}</h1><p>{escape(test.summary)}</p>{_svg(test)}<table>{rows}</table>"
        f"<p>{test.seeds} seeds, {test.steps:,} updates each, from {test.low:.3g} to {test.high:.3g}; "
        f"{test.diverged} diverged before the last rate.</p></body></html>"
    )
