"""What the tests of the revisions share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from sqlalchemy import Engine, MetaData, select

from tuner.store.db.engine import WRITES, connect, parse_url
from tuner.store.maintenance.migrate import alembic_config


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    """An engine whose transactions write, as the migrations use it."""
    engine = connect(parse_url(url), foreign_keys=False).execution_options(**{WRITES: True})
    try:
        yield engine
    finally:
        engine.dispose()


def run(engine: Engine, verb: str, revision: str) -> None:
    """Go up or down to a revision."""
    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, verb)(config, revision)


Rows = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


def all_rows(url: str) -> Rows:
    """Every row of every table, by its primary key; of tables without one, by the whole row."""
    metadata = MetaData()
    with engine_of(url) as engine, engine.connect() as connection:
        metadata.reflect(connection)
        return {table.name: _rows_of(connection, table) for table in metadata.sorted_tables}


def _rows_of(connection, table) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = [dict(row) for row in connection.execute(select(table)).mappings()]
    keys = [column.name for column in table.primary_key.columns] or [column.name for column in table.columns]
    return {tuple(row[key] for key in keys): row for row in rows}
