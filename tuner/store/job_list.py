"""Which jobs a list shows, and the pages that it comes in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, and_, or_, true

from tuner.errors import InvalidValue
from tuner.jobs.records import Visibility
from tuner.jobs.states import JobState
from tuner.store.models import Job

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


def visible(visibility: Visibility) -> ColumnElement[bool]:
    """The jobs that somebody may see."""
    if visibility.teams is None:
        return true()
    return or_(Job.team.in_(sorted(visibility.teams)), Job.shared)


def matching(
    *,
    states: Collection[JobState] | None,
    team: str | None,
    workload: str | None,
    owner: str | None,
    text: str | None,
) -> ColumnElement[bool]:
    """The jobs that a filter lets through; a part of it that is absent lets every job through."""
    conditions: list[ColumnElement[bool]] = [
        column == wanted
        for column, wanted in ((Job.team, team), (Job.workload, workload), (Job.owner, owner))
        if wanted is not None
    ]
    if states is not None:
        conditions.append(Job.state.in_(states))
    if text:
        conditions.append(_containing(text))
    return and_(true(), *conditions)


def _containing(text: str) -> ColumnElement[bool]:
    notes = Job.spec["notes"].as_string()
    somewhere = (column.icontains(text, autoescape=True) for column in (Job.name, Job.workload, notes))
    return or_(*somewhere, Job.id.startswith(text.lower(), autoescape=True))
