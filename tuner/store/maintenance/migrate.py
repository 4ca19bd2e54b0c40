"""The schema: ours by Alembic, Optuna's by Optuna, side by side in one database.

Ours are the tables with the prefix ``tuner_``; their version stands in a table of its own, because Optuna uses
Alembic's default one.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, func, inspect, select
from sqlalchemy.exc import DatabaseError, OperationalError

from tuner.errors import DatabaseUnavailable, InvalidValue, SchemaMismatch
from tuner.store.db.engine import WRITES, connect, parse_url
from tuner.store.db.models import PREFIX

VERSION_TABLE = "tuner_alembic_version"
_OPTUNA_TABLES = {"version_info", "alembic_version", "studies", "trials"}
_UPGRADE_LOCK = 0x74756E6573  # next to the lock of the events


def upgrade(url: str) -> None:
    """Bring the tables of a database to this version's, whatever is there now. Safe to call from many processes.

    Args:
        url: As for `Store.open`; the SQLite file is made when it is missing, its folder is not.

    Raises:
        InvalidValue: The URL is none that the store understands, or its folder is missing.
        SchemaMismatch: A newer version of Schedule Tuner, or of Optuna, made these tables.
        DatabaseUnavailable: The database cannot be reached.
    """
    parsed = parse_url(url)
    with upgrading_alone(parsed):
        if is_current(url):
            return
        _make_privately(_file(parsed))
        with open_engine(parsed) as engine, engine.begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise SchemaMismatch(
                    f"the tables were made by another, newer version of Schedule Tuner; upgrade it here too ({error})"
                ) from error
        from tuner.store.optuna.storage import bring_forward  # Optuna takes a second to import

        bring_forward(parsed)


def is_current(url: str) -> bool:
    """Whether a database has exactly the tables that this version works with, Optuna's included.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    parsed = parse_url(url)
    if _file(parsed) is not None and not Path(str(_file(parsed))).exists():
        return False
    with open_engine(parsed, writes=False) as engine, engine.connect() as connection:
        return has_tables(connection)


def has_tables(connection: Connection) -> bool:
    """Whether a connection's database has exactly the tables that this version works with, Optuna's included."""
    ours = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    if ours.get_current_revision() != _head() or not _OPTUNA_TABLES.issubset(inspect(connection).get_table_names()):
        return False
    from tuner.store.optuna.storage import newest_revision

    return MigrationContext.configure(connection).get_current_revision() == newest_revision()


@cache
def _head() -> str | None:
    """The newest revision that this version knows."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def alembic_config() -> Config:
    """Alembic's configuration, pointing at the installed ``tuner_migrations`` package. Logging is left alone."""
    config = Config()
    config.set_main_option("script_location", str(files("tuner_migrations")).replace("%", "%%"))
    return config


def is_ours(name: str | None, kind: str, parents: object) -> bool:
    """Whether Alembic may look at something: of other people's tables it would say that they are to be dropped."""
    return kind != "table" or (name or "").startswith(PREFIX)


@contextmanager
def open_engine(url: URL, *, writes: bool = True) -> Iterator[Engine]:
    """An engine for work on the whole database, closed after the block; its errors become ours.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        InvalidValue: The file is no database.
    """
    engine = connect(url, foreign_keys=False, hurried=False)
    try:
        yield engine.execution_options(**{WRITES: writes})
    except OperationalError as error:
        raise DatabaseUnavailable(f"the database does not answer: {error.orig}") from error
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_NOTADB:
            raise
        raise InvalidValue("database_url", value=str(url), allowed="a database of Schedule Tuner") from error
    finally:
        engine.dispose()


@contextmanager
def upgrading_alone(url: URL) -> Iterator[None]:
    """Keep other processes that upgrade the same database waiting."""
    file = _file(url)
    if file is None:
        with open_engine(url) as engine, engine.connect() as plain:
            # Held by the connection, not by a transaction: one that stays open would keep the upgrade waiting.
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(select(func.pg_advisory_lock(_UPGRADE_LOCK)))
            yield
        return
    # The folder, not a file of its own that would have to stay, and not the database, whose locks SQLite loses when
    # anybody else in the process closes it.
    try:
        folder = os.open(file.parent, os.O_RDONLY)
    except OSError as error:
        raise InvalidValue("database_url", value=str(url), allowed="a file in a folder that exists") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _make_privately(file: Path | None) -> None:
    """Make a SQLite file that only its owner may read, if there is none: it holds every team's jobs and webhooks.

    What SQLite keeps beside it gets the same mode. Where it cannot be made, SQLite says why.
    """
    if file is not None:
        with suppress(OSError):
            # Never one that is there: to close it would take SQLite's locks from the rest of the process.
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _file(url: URL) -> Path | None:
    return Path(url.database or "").absolute() if url.get_backend_name() == "sqlite" else None
