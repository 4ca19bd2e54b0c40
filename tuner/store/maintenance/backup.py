"""Backup and restore of a whole database as one file: SQLite's online backup, PostgreSQL's ``pg_dump``.

Both run while the service and the workers run, and are consistent snapshots.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, inspect, text

from tuner.errors import InvalidValue, TunerError
from tuner.store.db.engine import APPLICATION, BUSY_TIMEOUT_SECONDS, LOCK_SECONDS, parse_url
from tuner.store.db.models import PREFIX
from tuner.store.maintenance.migrate import VERSION_TABLE, grant_privileges, open_engine, upgrade_lock

_USED_SECONDS = 2.0
"""How long a SQLite file may be used by others before a restore is refused."""
_STOP = "Stop the service and the workers, then try again"


class BackupFailed(TunerError):
    """A backup or a restore failed, for the reason in the message. The database is unchanged."""


def back_up(url: str, *, to: Path) -> None:
    """Back a database up into a new file, which is complete or absent.

    Args:
        url: As for `Store.open`.
        to: The file. SQLite's is a database, PostgreSQL's an archive for ``pg_restore``.

    Raises:
        InvalidValue: The URL is not supported, its database is not one of Schedule Tuner, or the file exists or cannot
            be created.
        BackupFailed: The programs of PostgreSQL are missing or failed.
        DatabaseUnavailable: The database cannot be reached.
    """
    parsed = parse_url(url)
    if not _our_tables(parsed):
        raise InvalidValue("database_url", value=_shown(parsed), allowed="a database of Schedule Tuner")
    with _new_file(to) as part:
        if parsed.get_backend_name() == "sqlite":
            _copy_sqlite(Path(str(parsed.database)), to=part)
            _leave_wal_mode(part)
            _check_sqlite(part)
        else:
            _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={part}", url=parsed)


def restore(url: str, *, source: Path, replace: bool = False) -> None:
    """Restore a database from a backup, as a whole or not at all. Stop the service and the workers first.

    Args:
        url: As for `Store.open`; a missing SQLite file is created, its folder is not.
        source: A file that `back_up` made from a database of the same kind.
        replace: Whether the present contents may be deleted.

    Raises:
        InvalidValue: The URL is not supported, the file is not a backup for such a database, or the database has our
            tables and ``replace`` is false.
        BackupFailed: Another program uses the database, or the programs of PostgreSQL are missing or failed.
        DatabaseUnavailable: The database cannot be reached.
    """
    parsed = parse_url(url)
    if not source.is_file():
        raise InvalidValue("file", value=str(source), allowed="a file that `tuner db backup` made")
    if parsed.get_backend_name() != "sqlite":
        _check_unused(parsed)
    with upgrade_lock(parsed):
        present = _our_tables(parsed)
        if present and not replace:
            raise InvalidValue(
                "database_url",
                value=_shown(parsed),
                allowed="an empty database",
                hint="This one holds jobs, which would be lost. Back it up, then give --replace",
            )
        if parsed.get_backend_name() == "sqlite":
            _check_sqlite(source)
            _replace_sqlite(Path(str(parsed.database)), source=source)
        else:
            _restore_postgres(parsed, source=source, present=present)


def _our_tables(url: URL) -> tuple[str, ...]:
    """Our tables in a database, including the version table."""
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return ()
    with open_engine(url, writes=False) as engine, engine.connect() as connection:
        return tuple(name for name in inspect(connection).get_table_names() if name.startswith(PREFIX))


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """A temporary file that replaces the target when the block succeeds, and is deleted when it fails."""
    if target.exists():
        raise InvalidValue("file", value=str(target), allowed="a file that does not exist yet")
    try:
        number, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.absolute().parent)
    except OSError as error:
        raise InvalidValue("file", value=str(target), allowed=f"in a folder to write in ({error.strerror})") from error
    part = Path(name)  # mode 0600: a backup holds all data
    try:
        yield part
        os.fsync(number)
        part.rename(target)
    finally:
        os.close(number)
        part.unlink(missing_ok=True)


def _copy_sqlite(source: Path, *, to: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reader,
            closing(sqlite3.connect(to, timeout=BUSY_TIMEOUT_SECONDS)) as writer,
        ):
            reader.backup(writer)  # in one step: writers of the source continue in its WAL
    except sqlite3.Error as error:
        raise BackupFailed(
            f"{source} could not be copied to {to}: {error}. Stop what uses it, and try again"
        ) from error


def _replace_sqlite(file: Path, *, source: Path) -> None:
    """Copy a backup over a file that no other process has open.

    Each connection to a file in WAL mode has a lock on it for as long as it is open, also while it is idle: the mode
    can only be left by the last one, which then has the file for itself until it is closed.
    """
    with closing(sqlite3.connect(file, isolation_level=None, timeout=_USED_SECONDS)) as target:
        try:
            target.execute("PRAGMA locking_mode=EXCLUSIVE")
            target.execute("PRAGMA journal_mode=DELETE")
            target.execute("BEGIN EXCLUSIVE")
            target.execute("COMMIT")  # the lock stays
        except sqlite3.OperationalError as error:
            raise BackupFailed(f"another process uses {file} ({error}). {_STOP}") from error
        try:
            with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reader:
                reader.backup(target)
        except sqlite3.Error as error:
            raise BackupFailed(f"{source} could not be copied to {file}: {error}") from error


def _check_unused(url: URL) -> None:
    """Refuse a PostgreSQL database to which a service or a worker is connected, if only idly."""
    ours = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND application_name = :name"
    )
    with open_engine(url, writes=False) as engine, engine.connect() as connection:
        sessions = connection.execute(ours, {"name": APPLICATION}).scalar_one()
    if sessions:
        raise BackupFailed(f"other processes use the database: {sessions} sessions of Schedule Tuner. {_STOP}")


def _leave_wal_mode(file: Path) -> None:
    """Leave SQLite's WAL mode, which stores part of a database in a second file."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _check_sqlite(file: Path) -> None:
    """Refuse a file that is damaged or not a database of Schedule Tuner."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            sound = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
    except sqlite3.Error as error:
        sound = str(error)
    if sound != "ok":
        raise InvalidValue("file", value=str(file), allowed=f"a sound SQLite database of Schedule Tuner ({sound})")


def _restore_postgres(url: URL, *, source: Path, present: Sequence[str]) -> None:
    contents = _run("pg_restore", "--list", str(source), url=None)
    if VERSION_TABLE not in contents:
        raise InvalidValue("file", value=str(source), allowed="a backup of a PostgreSQL database of Schedule Tuner")
    with tempfile.TemporaryDirectory(prefix="tuner-restore-") as folder:
        # Tables that the backup lacks may refer to tables that it has: all are dropped, in the same transaction.
        drops, script = Path(folder) / "drops.sql", Path(folder) / "script.sql"
        drops.write_text("".join(f'DROP TABLE IF EXISTS "{table}" CASCADE;\n' for table in present))
        flags = ("--no-owner", "--no-privileges", "--clean", "--if-exists")
        _run("pg_restore", *flags, f"--file={script}", str(source), url=None)
        options = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
        _run("psql", *options, f"--file={drops}", f"--file={script}", url=url)
    grant_privileges(url)


def _run(program: str, *arguments: str, url: URL | None) -> str:
    """Run a program of PostgreSQL and return its output. The password is passed in the environment alone."""
    found = shutil.which(program)
    if found is None:
        raise BackupFailed(f"{program} is not installed: it comes with PostgreSQL's client (package postgresql-client)")
    environment = {**os.environ, "PGOPTIONS": f"-c lock_timeout={LOCK_SECONDS * 1000} -c client_min_messages=warning"}
    command = [found, *arguments]
    if url is not None:
        conninfo, password = _connection(url)
        command.append(f"--dbname={conninfo}")
        if password is not None:
            environment["PGPASSWORD"] = password
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BackupFailed(f"{program} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout


def _connection(url: URL) -> tuple[str, str | None]:
    """The connection string for libpq's programs, and the password apart: command lines are public."""
    from psycopg.conninfo import make_conninfo

    parts: dict[str, Any] = {"host": url.host, "port": url.port, "user": url.username, "dbname": url.database}
    parts |= {name: value for name, value in url.query.items() if name != "password" and isinstance(value, str)}
    password = url.password if url.password is not None else url.query.get("password")
    return make_conninfo("", **parts), None if password is None else str(password)


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)
