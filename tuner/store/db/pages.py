"""Pages of a list: how long they are, where the next one begins."""

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
    """Where the next page begins; ``None`` on the last one."""


def page_of(
    rows: Sequence[Row], *, limit: int, record: Callable[[Row], Item], place: Callable[[Row], int]
) -> Page[Item]:
    """A page made of rows, of which one more was asked for than it holds.

    Args:
        rows: In order, at most ``limit + 1``.
        limit: Items on the page.
        record: Makes an item of a row.
        place: The row's place in the order, for the cursor.
    """
    more = len(rows) > limit
    shown = rows[:limit]
    return Page(items=tuple(map(record, shown)), next_cursor=str(place(shown[-1])) if more else None)


def check_limit(limit: int) -> None:
    """Refuse a page that is too long.

    Raises:
        InvalidValue: The limit is not in [1, `MAX_PAGE`].
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidValue("limit", value=limit, allowed=f"in [1, {MAX_PAGE}]")


def place_of(cursor: str) -> int:
    """The place that a cursor stands for.

    Raises:
        InvalidValue: It is none of ours.
    """
    # Nineteen digits would not fit the column.
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidValue("cursor", value=cursor, allowed="the next_cursor of an earlier page")
    return int(cursor)
