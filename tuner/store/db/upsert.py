"""INSERT ... ON CONFLICT: the same SQL on SQLite and PostgreSQL, two dialects in SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from tuner.store.db.models import Base


def upsert(session: Session, table: type[Base], *, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, and overwrite those whose primary key exists.

    Args:
        session: Of a writing transaction.
        table: The table.
        rows: With the same columns in each.
    """
    if not rows:
        return
    insert = _insert(session, table)
    key = [column.name for column in table.__table__.primary_key]
    changed = {name: insert.excluded[name] for name in rows[0] if name not in key}
    session.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), list(rows))


def upsert_sums(session: Session, table: type[Base], *, row: Mapping[str, Any], adding: Sequence[str]) -> None:
    """Insert a row, or add to the columns of the row with the same primary key.

    Args:
        session: Of a writing transaction.
        table: The table.
        row: Values by column.
        adding: The columns that are summed.
    """
    insert = _insert(session, table).values(**row)
    key = [column.name for column in table.__table__.primary_key]
    sums = {name: table.__table__.c[name] + insert.excluded[name] for name in adding}
    session.execute(insert.on_conflict_do_update(index_elements=key, set_=sums))


def insert_if_absent(session: Session, table: type[Base], *, row: Mapping[str, Any], key: Sequence[str]) -> bool:
    """Insert a row unless one with the same unique key exists. Waits for another transaction that inserts the same key.

    Returns:
        Whether the row was inserted.
    """
    insert = _insert(session, table).values(**row).on_conflict_do_nothing(index_elements=key)
    return session.execute(insert.returning(*table.__table__.primary_key)).first() is not None


def _insert(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
