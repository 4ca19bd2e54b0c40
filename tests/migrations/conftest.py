from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData, Table, delete, func, insert, select, text

from tests.integration.store.databases import empty_url, postgres  # noqa: F401
from tests.integration.store.postgres_server import PostgresServer
from tests.migrations.revisions import engine_of, run
from tuner.store.db.engine import parse_url
from tuner.store.optuna.storage import upgrade_tables

RELEASED = Path(__file__).parent / "data" / "0001.db.gz"


@pytest.fixture(scope="session")
def released_postgres(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: F811
    """The rows of the release with revision 0001, brought to PostgreSQL once: a copy is quick."""
    file = tmp_path_factory.mktemp("released") / "released.db"
    file.write_bytes(gzip.decompress(RELEASED.read_bytes()))
    url = postgres.create()
    with engine_of(url) as engine:
        run(engine, "upgrade", "0001")
    upgrade_tables(parse_url(url))
    _copy_rows(f"sqlite:///{file}", to=url)
    yield url
    postgres.drop(url)


@pytest.fixture
def released_url(empty_url: str, request: pytest.FixtureRequest) -> str:  # noqa: F811
    """A database as the release with revision 0001 left it: its own file, or that file's rows on PostgreSQL."""
    if empty_url.startswith("sqlite"):
        Path(parse_url(empty_url).database or "").write_bytes(gzip.decompress(RELEASED.read_bytes()))
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        server.replace(empty_url, template=request.getfixturevalue("released_postgres"))
    return empty_url


def _copy_rows(url: str, *, to: str) -> None:
    with engine_of(url) as source, engine_of(to) as target, source.connect() as reader, target.begin() as writer:
        found, wanted = MetaData(), MetaData()
        found.reflect(reader)
        wanted.reflect(writer)
        for table in reversed(wanted.sorted_tables):
            writer.execute(delete(table))
        for table in wanted.sorted_tables:
            rows = [dict(row) for row in reader.execute(select(found.tables[table.name])).mappings()]
            if rows:
                writer.execute(insert(table), rows)
            for column in table.primary_key.columns:
                if isinstance(column.type.python_type(), int):
                    _go_on_counting(writer, table, column.name)


def _go_on_counting(connection, table: Table, column: str) -> None:
    sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, column))).scalar_one()
    if sequence is not None:
        highest = f"(SELECT coalesce(max({column}), 0) + 1 FROM {table.name})"
        connection.execute(text(f"SELECT setval('{sequence}', {highest}, false)"))
