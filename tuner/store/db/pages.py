"""Cursor pagination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

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


def read_page(
    session: Session,
    query: Select[Row],
    *,
    key: InstrumentedAttribute[int],
    record: Callable[[Row], Item],
    cursor: str | None,
    limit: int,
    newest_first: bool = False,
) -> Page[Item]:
    """One page of a query's rows, in the order of a unique key.

    Args:
        session: Of the transaction.
        query: Selects entities; sorted and limited here.
        key: The sort key; the cursor holds its value.
        record: Builds an item from a row.
        cursor: ``next_cursor`` of the previous page; the first page when absent.
        limit: Items on the page, 1 to `MAX_PAGE`.
        newest_first: Whether the greatest key comes first.

    Raises:
        InvalidValue: The limit is out of range, or the cursor is invalid.
    """
    check_limit(limit)
    if cursor is not None:
        last = _parse_cursor(cursor)
        query = query.where(key < last if newest_first else key > last)
    # One row more than the page holds tells whether there is a next page.
    rows = session.scalars(query.order_by(key.desc() if newest_first else key).limit(limit + 1)).all()
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(items=tuple(map(record, shown)), next_cursor=str(getattr(shown[-1], key.key)) if more else None)


def check_limit(limit: int) -> None:
    """Refuse a page size that is out of range.

    Raises:
        InvalidValue: The limit is not in [1, `MAX_PAGE`].
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidValue("limit", value=limit, allowed=f"in [1, {MAX_PAGE}]")


def _parse_cursor(cursor: str) -> int:
    """The sort key in a cursor.

    Raises:
        InvalidValue: It is no cursor.
    """
    # 19 digits may not fit a 64-bit column.
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidValue("cursor", value=cursor, allowed="the next_cursor of an earlier page")
    return int(cursor)
