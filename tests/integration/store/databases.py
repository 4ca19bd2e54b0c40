"""Fixtures: a fresh database per test, on SQLite and on PostgreSQL. A ``conftest.py`` takes those that it needs."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.store.postgres_server import PostgresServer, running_server
from tuner.store.db.models import Base
from tuner.store.maintenance.migrate import upgrade

BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.pg))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    if os.environ.get("TUNER_TEST_NO_PG") == "1":
        pytest.skip("TUNER_TEST_NO_PG=1")
    with running_server() as server:
        yield server


@pytest.fixture(params=BOTH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'tuner.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "template.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def sqlite_database(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path_factory.mktemp('database') / 'tuner.db')}"


@pytest.fixture(scope="session")
def postgresql_database(postgres: PostgresServer) -> Iterator[str]:
    url = postgres.create()
    upgrade(url)
    yield url
    postgres.drop(url)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite database with current tables."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'tuner.db')}"


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest) -> str:
    """A database with current tables."""
    # One database of each kind for all tests, swept before each: faster than a new one, and a store that stays open
    # over it has its statements compiled once.
    database: str = request.getfixturevalue(f"{request.param}_database")
    tables = [table.name for table in reversed(Base.metadata.sorted_tables)]
    if request.param == "sqlite":
        with closing(sqlite3.connect(database.removeprefix("sqlite:///"), timeout=30)) as connection, connection:
            for table in tables:
                connection.execute(f"DELETE FROM {table}")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        server.sweep(database, tables=tables)
    return database
