"""Lays out tables: columns that fit a terminal, records where they cannot, tabs for other programs. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

from tuner.text import one_line

_GAP = 2


def tab_separated(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table for other programs: one row a line, cells apart by tabs, nothing cut and nothing padded."""
    return ["\t".join(map(one_line, cells)) for cells in (headings, *rows)]


def fitted(headings: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> list[str]:
    """A table for people: aligned columns no wider than a terminal.

    The widest columns are wrapped where the table is too wide; words are never broken, so that ids can be copied. Where
    even that is too wide, each row becomes a record: one line per cell that is not empty.

    Args:
        headings: One per column.
        rows: The cells.
        width: Columns of the terminal.
    """
    rows = [list(map(one_line, cells)) for cells in rows]
    columns = list(zip(headings, *rows, strict=True))
    natural = [max(map(len, column)) for column in columns]
    smallest = [max(_longest_word(cell) for cell in column) for column in columns]
    room = width - _GAP * (len(columns) - 1)
    if sum(smallest) > room:
        return _records(headings, rows, width=width)
    widths = _shrunk(natural, smallest=smallest, room=room)
    return [line for cells in (headings, *rows) for line in _row(cells, widths=widths)]


def _longest_word(cell: str) -> int:
    return max(map(len, cell.split()), default=0)


def _shrunk(natural: Sequence[int], *, smallest: Sequence[int], room: int) -> list[int]:
    """The widths of the columns: the widest give way first, none below its longest word."""
    widths = list(natural)
    while sum(widths) > room:
        widest = max((n for n in range(len(widths)) if widths[n] > smallest[n]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _row(cells: Sequence[str], *, widths: Sequence[int]) -> list[str]:
    wrapped = [_wrapped(cell, width=max(1, width)) for cell, width in zip(cells, widths, strict=True)]
    lines = zip_longest(*wrapped, fillvalue="")
    return [
        (" " * _GAP).join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _wrapped(cell: str, *, width: int) -> list[str]:
    if len(cell) <= width:
        return [cell]
    return textwrap.wrap(cell, width, break_on_hyphens=False, break_long_words=False)


def _records(headings: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> list[str]:
    label = max(map(len, headings)) + _GAP
    lines: list[str] = []
    for cells in rows:
        lines += [""] if lines else []
        for heading, cell in zip(headings, cells, strict=True):
            if cell:
                start = f"{heading:<{label}}"
                lines += textwrap.wrap(
                    cell,
                    max(width, label + 1),
                    initial_indent=start,
                    subsequent_indent=" " * label,
                    break_on_hyphens=False,
                    break_long_words=False,
                )
    return lines
