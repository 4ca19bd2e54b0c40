"""INSERT ... ON CONFLICT, which SQLite and PostgreSQL spell the same and SQLAlchemy does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from tuner.store.db.models import Base


def upsert(session: Session, table: type[Base], *, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those whose primary key is there already are overwritten.

    Args:
        session: Of a writing transaction.
        table: Where to.
        rows: The same columns in each.
    """
    if not rows:
        return
    insert = _insert(session, table)
    key = [column.name for column in table.__table__.primary_key]
    changed = {name: insert.excluded[name] for name in rows[0] if name not in key}
    session.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), list(rows))


def add_up(session: Session, table: type[Base], *, row: Mapping[str, Any], adding: Sequence[str]) -> None:
    """Insert a row; where one with the same primary key is there, add to its columns instead.

    Args:
        session: Of a writing transaction.
        table: Where to.
        row: Its columns.
        adding: Those of them that are added up.
    """
    insert = _insert(session, table).values(**row)
    key = [column.name for column in table.__table__.primary_key]
    sums = {name: table.__table__.c[name] + insert.excluded[name] for name in adding}
    session.execute(insert.on_conflict_do_update(index_elements=key, set_=sums))


def insert_new(session: Session, table: type[Base], *, row: Mapping[str, Any], key: Sequence[str]) -> bool:
    """Insert a row unless one with the same unique key is there; tell whether it was inserted.

    A row that another transaction is about to insert is waited for.
    """
    insert = _insert(session, table).values(**row).on_conflict_do_nothing(index_elements=key)
    return session.execute(insert.returning(*table.__table__.primary_key)).first() is not None


def _insert(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
