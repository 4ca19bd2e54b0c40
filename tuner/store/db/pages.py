"""Cursor pagination."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tuner.errors import InvalidValue

MAX_PAGE = 500

Item = TypeVar("Item")
Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list."""

    items: tuple[Item, ...]
    next_cursor: str | None
    """Cursor of the next page; ``None`` on the last one."""


def make_page(
    rows: Sequence[Row], *, limit: int, record: Callable[[Row], Item], key: Callable[[Row], int]
) -> Page[Item]:
    """Build a page from rows; the query selects one more than the page holds.

    Args:
        rows: In order, at most ``limit + 1``.
        limit: Items on the page.
        record: Builds an item from a row.
        key: The row's sort key, for the cursor.
    """
    more = len(rows) > limit
    shown = rows[:limit]
    return Page(items=tuple(map(record, shown)), next_cursor=str(key(shown[-1])) if more else None)


def check_limit(limit: int) -> None:
    """Refuse a page size that is out of range.

    Raises:
        InvalidValue: The limit is not in [1, `MAX_PAGE`].
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidValue("limit", value=limit, allowed=f"in [1, {MAX_PAGE}]")


def parse_cursor(cursor: str) -> int:
    """The sort key in a cursor.

    Raises:
        InvalidValue: It is no cursor.
    """
    # 19 digits may not fit a 64-bit column.
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidValue("cursor", value=cursor, allowed="the next_cursor of an earlier page")
    return int(cursor)
