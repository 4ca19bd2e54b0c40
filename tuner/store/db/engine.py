"""Connections to the database: SQLite in WAL mode, or PostgreSQL through psycopg 3."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from tuner.errors import InvalidValue
from tuner.extras import require
from tuner.text import is_storable

BUSY_PAUSE_SECONDS = (0.001, 0.01)
"""Between two attempts of a SQLite writer to be the one that writes."""
BUSY_TIMEOUT_SECONDS = 30.0
"""How long a SQLite writer waits for another writer."""
APPLICATION = "schedule-tuner"
"""Name of the sessions of PostgreSQL."""
CONNECT_SECONDS = 10
"""How long PostgreSQL may take to accept a new connection."""
LOCK_SECONDS = 10
"""How long a PostgreSQL statement waits for a lock, before the transaction is retried."""
STATEMENT_SECONDS = 60
"""How long a PostgreSQL statement may take; the usual time is milliseconds."""
IDLE_SECONDS = 5
"""How long an open PostgreSQL transaction may be idle. The server then ends it and frees its locks: a process that was
stopped inside a transaction would block the whole queue, and leases would be freed late."""
POOL_SIZE = 10
MAX_OVERFLOW = 30
"""Connections beyond the pool's size; the service runs requests in at most 40 threads."""
POOL_SECONDS = 15.0
"""How long a thread waits for one of the pool's connections."""
WRITES = "tuner_writes"
"""Execution option of an engine whose transactions write."""
PATIENCE = "tuner_patience"
"""Execution option of an engine whose transactions wait for a lock at most so many seconds."""

_FORMS = "sqlite:///path/to/file.db or postgresql://user:password@host/database"


def parse_url(url: str) -> URL:
    """Parse a database URL and set its driver.

    Args:
        url: ``sqlite:///path`` (a file; four slashes for an absolute path) or ``postgresql://...``.

    Raises:
        InvalidValue: It is no such URL, or names an in-memory database, which other processes could not see.
    """
    if not is_storable(url):
        raise InvalidValue("database_url", value=url.partition(":")[0], allowed=f"{_FORMS}, all of it UTF-8")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        scheme = url.partition(":")[0]  # the rest may hold a password
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


def connect(url: URL, *, foreign_keys: bool = True, timeouts: bool = True) -> Engine:
    """Create an engine; it connects on first use.

    Args:
        url: From `parse_url`.
        foreign_keys: Whether SQLite enforces them. Off for migrations, which rebuild tables.
        timeouts: Whether PostgreSQL ends slow statements. Off for migrations, which may rewrite large tables.

    Raises:
        ExtraMissing: PostgreSQL's driver is not installed.
    """
    if url.get_backend_name() == "postgresql":
        require("postgres", user="a PostgreSQL database")
        engine = create_engine(url, **postgres_settings(url, timeouts=timeouts))
        event.listen(engine, "begin", _set_lock_timeout)
        return engine
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    set_sqlite_pragmas(engine, foreign_keys=foreign_keys)

    @event.listens_for(engine, "connect")
    def disable_implicit_transactions(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        # sqlite3 opens a transaction at the first write: reads before it would be outside, and check-then-write a race.
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get(WRITES, False):
            connection.exec_driver_sql("BEGIN")
            return
        _begin_immediate(connection, patience=options.get(PATIENCE, BUSY_TIMEOUT_SECONDS))

    return engine


def _begin_immediate(connection: Connection, *, patience: float) -> None:
    """Begin a SQLite transaction that writes, once no other one does.

    SQLite itself waits longer and longer between two attempts, so that of many writers the one that has waited longest
    comes last. Here each attempt of each writer has the same chance.
    """
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            busy = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(*BUSY_PAUSE_SECONDS))
        else:
            break
    connection.exec_driver_sql(f"PRAGMA busy_timeout={round(1000 * patience)}")


def _set_lock_timeout(connection: Connection) -> None:
    """For this transaction alone: the connection goes back to the pool."""
    patience = connection.get_execution_options().get(PATIENCE)
    if patience is not None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, round(1000 * patience))}")


def postgres_settings(url: URL, *, timeouts: bool = True) -> dict[str, Any]:
    """The arguments of `sqlalchemy.create_engine` for PostgreSQL.

    A lost server or network is detected within a minute, and nothing waits or holds a lock for ever. Parameters of the
    URL (``?connect_timeout=3``) override ours; ``?options=`` is added to ours.

    Args:
        url: From `parse_url`.
        timeouts: As for `connect`.
    """
    limits = {
        "statement_timeout": STATEMENT_SECONDS,
        "lock_timeout": LOCK_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
    }
    options = "".join(f"-c {name}={seconds * 1000} " for name, seconds in limits.items()) if timeouts else ""
    defaults: Mapping[str, Any] = {
        "application_name": APPLICATION,
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    arguments = {name: value for name, value in defaults.items() if name not in url.query}
    arguments["options"] = f"{options}{_text(url, 'options')}".strip()
    return {
        "connect_args": arguments,
        "pool_pre_ping": True,
        "pool_size": POOL_SIZE,
        "max_overflow": MAX_OVERFLOW,
        "pool_timeout": POOL_SECONDS,
        "pool_use_lifo": True,  # unused connections grow old, and a load balancer's or the server's limit closes them
    }


def _text(url: URL, name: str) -> str:
    """A parameter of a URL's query; repeated values are joined."""
    value = url.query.get(name, "")
    return value if isinstance(value, str) else " ".join(value)


def set_sqlite_pragmas(engine: Engine, *, foreign_keys: bool) -> None:
    """Set WAL mode on every new SQLite connection: readers and a writer do not wait for each other.

    With ``synchronous=NORMAL`` a power cut may undo the last transactions, but never corrupts the file; a killed
    process undoes nothing.
    """

    @event.listens_for(engine, "connect")
    def pragmas(connection: Any, entry: ConnectionPoolEntry) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
