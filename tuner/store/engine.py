"""Connections to the database: SQLite in WAL mode, or PostgreSQL through psycopg 3."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from tuner.errors import InvalidValue

BUSY_TIMEOUT_SECONDS = 30.0
"""How long a SQLite writer waits for another one."""
WRITES = "tuner_writes"
"""Execution option of an engine whose transactions write."""

_FORMS = "sqlite:///path/to/file.db or postgresql://user:password@host/database"


def parse_url(url: str) -> URL:
    """Read a database URL and settle its driver.

    Args:
        url: ``sqlite:///path`` (a file; four slashes for an absolute path) or ``postgresql://...``.

    Raises:
        InvalidValue: It is no such URL, or names a database in memory, which other processes could not see.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        scheme = url.partition(":")[0]  # what follows may hold a password
        raise InvalidValue("database_url", value=scheme, allowed=_FORMS) from error
    match parsed.get_backend_name():
        case "sqlite":
            if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
                raise InvalidValue("database_url", value=url, allowed="a SQLite file: sqlite:///path/to/file.db")
            return parsed.set(drivername="sqlite")
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
        case _:
            shown = parsed.render_as_string(hide_password=True)
            raise InvalidValue("database_url", value=shown, allowed=_FORMS)


def connect(url: URL, *, foreign_keys: bool = True) -> Engine:
    """Make an engine; nothing is opened yet.

    Args:
        url: From `parse_url`.
        foreign_keys: Whether SQLite checks them. Off for migrations, which rebuild tables.
    """
    if url.get_backend_name() == "postgresql":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    set_sqlite_pragmas(engine, foreign_keys=foreign_keys)

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        # sqlite3 would open a transaction at the first write: what was read before would not be part of it, and
        # check-then-write would be a race.
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def set_sqlite_pragmas(engine: Engine, *, foreign_keys: bool) -> None:
    """Put every new connection of a SQLite engine into WAL mode, where readers and a writer do not wait for each other.

    With ``synchronous=NORMAL`` a power cut may take the last transactions back, but never tears the file; a killed
    process takes nothing back.
    """

    @event.listens_for(engine, "connect")
    def pragmas(connection: Any, entry: ConnectionPoolEntry) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
