"""A backup holds everything, comes back whole or not at all, and carries an earlier release to this one."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.integration.store.postgres_server import client_programs
from tests.migrations.revisions import all_rows, engine_of
from tuner.errors import InvalidValue
from tuner.store import Store
from tuner.store.maintenance.backup import BackupFailed, back_up, restore
from tuner.store.maintenance.migrate import is_current, upgrade


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{client_programs()}:{os.environ['PATH']}")


@pytest.fixture
def current_url(released_url: str) -> str:
    upgrade(released_url)
    return released_url


@pytest.fixture
def other_url(request: pytest.FixtureRequest, released_url: str, tmp_path: Path) -> Iterator[str]:
    """A second, empty database of the same kind."""
    if released_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'other.db'}"
        return
    server = request.getfixturevalue("postgres")
    url = server.create()
    yield url
    server.drop(url)


def test_what_was_backed_up_comes_back_in_an_empty_database(current_url: str, other_url: str, tmp_path: Path) -> None:
    back_up(current_url, to=tmp_path / "backup")
    restore(other_url, source=tmp_path / "backup")
    assert all_rows(other_url) == all_rows(current_url)
    assert is_current(other_url)


def test_a_restored_database_goes_on_counting(current_url: str, other_url: str, tmp_path: Path) -> None:
    back_up(current_url, to=tmp_path / "backup")
    restore(other_url, source=tmp_path / "backup")
    with closing(Store.open(other_url)) as store:
        job = store.jobs.submit(store.jobs.list().items[0].spec)
        assert store.jobs.list().items[0].id == job.id


def test_a_backup_is_taken_while_somebody_writes(current_url: str, other_url: str, tmp_path: Path) -> None:
    before = all_rows(current_url)
    with engine_of(current_url) as engine, engine.connect() as connection, connection.begin() as transaction:
        connection.execute(text("DELETE FROM tuner_curve_points"))
        back_up(current_url, to=tmp_path / "backup")
        transaction.rollback()
    restore(other_url, source=tmp_path / "backup")
    assert all_rows(other_url) == before


def test_what_came_after_the_backup_is_lost_only_where_that_is_allowed(current_url: str, tmp_path: Path) -> None:
    back_up(current_url, to=tmp_path / "backup")
    before = all_rows(current_url)
    with engine_of(current_url) as engine, engine.begin() as connection:
        connection.execute(text("DELETE FROM tuner_curve_points"))
    after = all_rows(current_url)
    with pytest.raises(InvalidValue, match="--replace"):
        restore(current_url, source=tmp_path / "backup")
    assert all_rows(current_url) == after
    restore(current_url, source=tmp_path / "backup", replace=True)
    assert all_rows(current_url) == before


def test_a_database_that_a_service_has_open_is_not_replaced(current_url: str, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    back_up(current_url, to=backup)
    with closing(Store.open(current_url)) as store:
        store.jobs.submit(store.jobs.list().items[0].spec)  # then it is idle: no transaction is open
        before = all_rows(current_url)
        with pytest.raises(BackupFailed, match="Stop the service and the workers"):
            restore(current_url, source=backup, replace=True)
        assert all_rows(current_url) == before
        store.jobs.submit(store.jobs.list().items[0].spec)
    restore(current_url, source=backup, replace=True)
    with closing(Store.open(current_url)) as store:
        assert len(store.jobs.list().items) == len(before["tuner_jobs"]) - 1


def test_a_restored_sqlite_file_is_in_wal_mode_again_once_it_is_open(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    Store.open(url).close()
    back_up(url, to=tmp_path / "backup")
    restore(url, source=tmp_path / "backup", replace=True)
    with closing(Store.open(url)) as store:
        assert store._database.read(lambda session: session.scalar(text("PRAGMA journal_mode"))) == "wal"


def test_a_backup_of_an_earlier_release_takes_the_place_of_a_newer_schema(released_url: str, tmp_path: Path) -> None:
    before = all_rows(released_url)
    back_up(released_url, to=tmp_path / "backup")
    upgrade(released_url)
    restore(released_url, source=tmp_path / "backup", replace=True)
    assert all_rows(released_url) == before
    upgrade(released_url)
    assert is_current(released_url)


def test_a_file_that_is_no_backup_changes_nothing(current_url: str, tmp_path: Path) -> None:
    before = all_rows(current_url)
    (tmp_path / "notes.txt").write_text("not a backup")
    with pytest.raises((InvalidValue, BackupFailed)):
        restore(current_url, source=tmp_path / "notes.txt", replace=True)
    assert all_rows(current_url) == before


def test_a_damaged_backup_changes_nothing(current_url: str, tmp_path: Path) -> None:
    back_up(current_url, to=tmp_path / "backup")
    content = bytearray((tmp_path / "backup").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = os.urandom(4096)
    (tmp_path / "backup").write_bytes(content)
    before = all_rows(current_url)
    with pytest.raises((InvalidValue, BackupFailed)):
        restore(current_url, source=tmp_path / "backup", replace=True)
    assert all_rows(current_url) == before


def test_a_backup_is_for_its_owner_alone_and_writes_over_nothing(current_url: str, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    back_up(current_url, to=file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = file.read_bytes()
    with pytest.raises(InvalidValue, match="does not exist yet"):
        back_up(current_url, to=file)
    assert file.read_bytes() == written
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_a_backup_into_no_folder_is_refused(current_url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="in a folder to write in"):
        back_up(current_url, to=tmp_path / "nowhere" / "backup")


def test_an_empty_database_is_not_backed_up(empty_url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="a database of Schedule Tuner"):
        back_up(empty_url, to=tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_sqlite_backup_is_one_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    upgrade(url)
    back_up(url, to=tmp_path / "backup.db")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert {path.name for path in tmp_path.glob("backup.db*")} == {"backup.db"}


def test_missing_programs_are_named_with_where_they_come_from(
    request: pytest.FixtureRequest, current_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if current_url.startswith("sqlite"):
        back_up(current_url, to=tmp_path / "needs none")
        return
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupFailed, match=r"pg_dump is not installed.*postgresql-client"):
        back_up(current_url, to=tmp_path / "backup")


@pytest.mark.pg
def test_a_password_is_no_argument(postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody on the machine may read arguments."""
    url = postgres.create()
    upgrade(url)
    (tmp_path / "pg_dump").write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" "password=$PGPASSWORD" > "$(dirname "$0")/told"\n'
    )
    (tmp_path / "pg_dump").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    from tuner.store.db.engine import parse_url

    secret = parse_url(url).set(password="a b's").render_as_string(hide_password=False)
    back_up(secret, to=tmp_path / "backup")
    told = (tmp_path / "told").read_text().splitlines()
    assert told[-1] == "password=a b's"
    assert not any("a b's" in argument or "a b\\'s" in argument for argument in told[:-1])
    postgres.drop(url)
