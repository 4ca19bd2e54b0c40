"""Connections to the database: SQLite in WAL mode, or PostgreSQL through psycopg 3."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from tuner.errors import InvalidValue
from tuner.extras import require

BUSY_TIMEOUT_SECONDS = 30.0
"""How long a SQLite writer waits for another one."""
CONNECT_SECONDS = 10
"""How long PostgreSQL may take to answer a new connection."""
LOCK_SECONDS = 10
"""How long a PostgreSQL statement waits for a lock. The transaction is then tried again."""
STATEMENT_SECONDS = 60
"""How long a PostgreSQL statement may take. Ours take milliseconds."""
IDLE_SECONDS = 30
"""After this long without a statement the server ends an open PostgreSQL transaction, and with it its locks: that of a
process that was stopped in the middle, say, which would keep the whole queue waiting."""
KEPT_CONNECTIONS = 10
MORE_CONNECTIONS = 30
"""Beyond those that are kept; a service's requests run in at most 40 threads."""
POOL_SECONDS = 15.0
"""How long a thread waits for one of the pool's connections."""
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


def connect(url: URL, *, foreign_keys: bool = True, hurried: bool = True) -> Engine:
    """Make an engine; nothing is opened yet.

    Args:
        url: From `parse_url`.
        foreign_keys: Whether SQLite checks them. Off for migrations, which rebuild tables.
        hurried: Whether PostgreSQL ends what takes long. Off for migrations, which may have much to rewrite.

    Raises:
        ExtraMissing: PostgreSQL's driver is not installed.
    """
    if url.get_backend_name() == "postgresql":
        require("postgres", user="a PostgreSQL database")
        return create_engine(url, **postgres_settings(url, hurried=hurried))
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


def postgres_settings(url: URL, *, hurried: bool = True) -> dict[str, Any]:
    """What `sqlalchemy.create_engine` is given for PostgreSQL.

    A server or a network that went away without a word is noticed within a minute, and nothing waits or holds a lock
    for ever. What the URL itself sets (``?connect_timeout=3``) holds instead; ``?options=`` goes on top of ours.

    Args:
        url: From `parse_url`.
        hurried: As for `connect`.
    """
    limits = {
        "statement_timeout": STATEMENT_SECONDS,
        "lock_timeout": LOCK_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
    }
    options = "".join(f"-c {name}={seconds * 1000} " for name, seconds in limits.items()) if hurried else ""
    ours: Mapping[str, Any] = {
        "application_name": "schedule-tuner",
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    arguments = {name: value for name, value in ours.items() if name not in url.query}
    arguments["options"] = f"{options}{_text(url, 'options')}".strip()
    return {
        "connect_args": arguments,
        "pool_pre_ping": True,
        "pool_size": KEPT_CONNECTIONS,
        "max_overflow": MORE_CONNECTIONS,
        "pool_timeout": POOL_SECONDS,
        "pool_use_lifo": True,  # what is not needed any more grows old, and a load balancer's or server's limit ends it
    }


def _text(url: URL, name: str) -> str:
    """A parameter of a URL's query; given twice, both."""
    value = url.query.get(name, "")
    return value if isinstance(value, str) else " ".join(value)


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
