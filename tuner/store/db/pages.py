"""Cursor pagination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy.orm import InstrumentedAttribute, Session

from tuner.errors import InvalidValue

MAX_PAGE = 500
_BETWEEN = "~"

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
    largest: ColumnElement[float] | None = None,
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
        largest: Sort by this first, the largest first; the cursor holds its value as well.

    Raises:
        InvalidValue: The limit is out of range, or the cursor is invalid.
    """
    check_limit(limit)
    if cursor is not None:
        query = query.where(_after(cursor, key=key, newest_first=newest_first, largest=largest))
    order = key.desc() if newest_first else key
    by = (order,) if largest is None else (largest.desc(), order)
    # One row more than the page holds tells whether there is a next page.
    rows = session.execute(query.add_columns(key if largest is None else largest, key).order_by(*by).limit(limit + 1))
    found = rows.all()
    shown = found[:limit]
    items = tuple(record(row[0]) for row in shown)
    if len(found) <= limit:
        return Page(items=items, next_cursor=None)
    _, value, last = shown[-1]
    return Page(items=items, next_cursor=f"{last}" if largest is None else f"{value!r}{_BETWEEN}{last}")


def check_limit(limit: int) -> None:
    """Refuse a page size that is out of range.

    Raises:
        InvalidValue: The limit is not in [1, `MAX_PAGE`].
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidValue("limit", value=limit, allowed=f"in [1, {MAX_PAGE}]")


def _after(
    cursor: str, *, key: InstrumentedAttribute[int], newest_first: bool, largest: ColumnElement[float] | None
) -> ColumnElement[bool]:
    """The rows after those of an earlier page.

    Raises:
        InvalidValue: The cursor is none of this order.
    """
    value, between, last = cursor.rpartition(_BETWEEN)
    # 19 digits may not fit a 64-bit column.
    is_key = last.isascii() and last.isdigit() and len(last) < 19
    if not is_key or (between == "") != (largest is None):
        raise _no_cursor(cursor)
    further = key < int(last) if newest_first else key > int(last)
    if largest is None:
        return further
    try:
        reached = float(value)
    except ValueError:
        raise _no_cursor(cursor) from None
    return or_(largest < reached, and_(largest == reached, further))


def _no_cursor(cursor: str) -> InvalidValue:
    return InvalidValue("cursor", value=cursor, allowed="the next_cursor of an earlier page in the same order")
