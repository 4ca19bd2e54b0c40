"""Schema migrations: our tables by Alembic, Optuna's by Optuna, in one database.

Our tables have the prefix ``tuner_``. Their revision is stored in a version table of our own, because Optuna uses
Alembic's default table.
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
from tuner.store.maintenance.privileges import OUR_VERSION, grant_again

VERSION_TABLE = OUR_VERSION
_OPTUNA_TABLES = {"version_info", "alembic_version", "studies", "trials"}
_UPGRADE_LOCK = 0x74756E6573
"""Key of an advisory lock that nothing else uses."""


def upgrade(url: str) -> None:
    """Create or upgrade the tables of a database to this version. Safe to call from many processes.

    Args:
        url: As for `Store.open`; a missing SQLite file is created, its folder is not.

    Raises:
        InvalidValue: The URL is not supported, or its folder is missing.
        SchemaMismatch: A newer version of Schedule Tuner, or of Optuna, created these tables.
        DatabaseUnavailable: The database cannot be reached.
    """
    parsed = parse_url(url)
    with upgrade_lock(parsed):
        if is_current(url):
            return
        _create_private_file(_file(parsed))
        with open_engine(parsed) as engine, engine.begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise SchemaMismatch(
                    f"the tables were made by another, newer version of Schedule Tuner; upgrade it here too ({error})"
                ) from error
        from tuner.store.optuna.storage import upgrade_tables  # importing Optuna takes a second

        upgrade_tables(parsed)
        grant_privileges(parsed)


def grant_privileges(url: URL) -> None:
    """Grant the roles that `tuner db roles` has made their privileges on the tables; nothing where there are none."""
    with open_engine(url) as engine, engine.begin() as connection:
        grant_again(connection)


def is_current(url: str) -> bool:
    """Whether a database has exactly the schema of this version, including Optuna's.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    parsed = parse_url(url)
    if _file(parsed) is not None and not Path(str(_file(parsed))).exists():
        return False
    with open_engine(parsed, writes=False) as engine, engine.connect() as connection:
        return has_current_schema(connection)


def has_current_schema(connection: Connection) -> bool:
    """Whether a connection's database has exactly the schema of this version, including Optuna's."""
    ours = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    if ours.get_current_revision() != _head() or not _OPTUNA_TABLES.issubset(inspect(connection).get_table_names()):
        return False
    from tuner.store.optuna.storage import head_revision

    return MigrationContext.configure(connection).get_current_revision() == head_revision()


@cache
def _head() -> str | None:
    """The newest revision of this version."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def alembic_config() -> Config:
    """Alembic's configuration for the installed ``tuner_migrations`` package. Logging is not configured."""
    config = Config()
    config.set_main_option("script_location", str(files("tuner_migrations")).replace("%", "%%"))
    return config


def is_ours(name: str | None, kind: str, parents: object) -> bool:
    """Whether Alembic may compare an object: it would drop the tables of other programs."""
    return kind != "table" or (name or "").startswith(PREFIX)


@contextmanager
def open_engine(url: URL, *, writes: bool = True) -> Iterator[Engine]:
    """An engine for work on the whole database, closed after the block; its errors are translated.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        InvalidValue: The file is not a database.
    """
    engine = connect(url, foreign_keys=False, timeouts=False)
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
def upgrade_lock(url: URL) -> Iterator[None]:
    """Exclude other processes that upgrade the same database."""
    file = _file(url)
    if file is None:
        with open_engine(url) as engine, engine.connect() as plain:
            # A session lock, not one of a transaction: an open transaction would block the upgrade.
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(select(func.pg_advisory_lock(_UPGRADE_LOCK)))
            yield
        return
    # The folder is locked: a lock file would have to remain, and closing the database file would drop SQLite's locks of
    # the whole process.
    try:
        folder = os.open(file.parent, os.O_RDONLY)
    except OSError as error:
        raise InvalidValue("database_url", value=str(url), allowed="a file in a folder that exists") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _create_private_file(file: Path | None) -> None:
    """Create a missing SQLite file that only its owner may read: it holds every team's jobs and webhooks.

    SQLite creates its WAL files with the same mode. If the creation fails, SQLite reports the reason on opening.
    """
    if file is not None:
        with suppress(OSError):
            # O_EXCL: closing an existing file would drop SQLite's locks of the whole process.
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _file(url: URL) -> Path | None:
    return Path(url.database or "").absolute() if url.get_backend_name() == "sqlite" else None
