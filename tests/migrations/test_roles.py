"""``tuner db roles``: who may do what in a PostgreSQL database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from tests.integration.store.postgres_server import PostgresServer, client_programs
from tests.integration.store.role_urls import roles_of, url_as
from tuner.cli.main import app
from tuner.errors import InvalidValue
from tuner.people.records import TeamSettings
from tuner.store import Store
from tuner.store.db.models import Audit, Base, BrowserSession, Delivery, Membership, Token, User, Webhook
from tuner.store.maintenance.backup import BackupFailed, back_up, restore
from tuner.store.maintenance.check import check
from tuner.store.maintenance.migrate import upgrade
from tuner.store.maintenance.privileges import WORKER_PRIVILEGES
from tuner.store.maintenance.roles import make_roles

pytestmark = pytest.mark.pg

NOT_FOR_WORKERS = {Audit, BrowserSession, Delivery, Membership, Token, User, Webhook}


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database, as a superuser."""
    url = postgres.create()
    yield url
    postgres.drop(url)


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_a_table_is_either_of_use_to_workers_or_none_of_their_business() -> None:
    tables = {mapper.class_ for mapper in Base.registry.mappers}
    assert set(WORKER_PRIVILEGES) | NOT_FOR_WORKERS == tables
    assert not set(WORKER_PRIVILEGES) & NOT_FOR_WORKERS


@pytest.mark.parametrize("tables_first", [True, False])
def test_the_roles_are_no_superusers_and_their_tables_are_the_owners(url: str, tables_first: bool) -> None:
    roles = roles_of(url)
    if tables_first:
        upgrade(url)
    make_roles(url, roles)
    upgrade(url_as(url, roles.owner))
    make_roles(url, roles)
    powers = "SELECT bool_or(rolsuper OR rolcreaterole OR rolcreatedb), count(*) FROM pg_roles WHERE rolname LIKE '{}%'"
    assert execute(url, powers.format(make_url(url).database)) == [(False, 3)]
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert execute(url, owners) == [(roles.owner.name,)]
    with closing(Store.open(url_as(url, roles.service))) as store:
        assert store.is_current()
        store.people.put_team("vision", TeamSettings())
    with closing(Store.open(url_as(url, roles.worker))) as store:
        assert store.workers.workers() == ()


def test_a_worker_reads_neither_tokens_nor_people_nor_webhooks(url: str) -> None:
    roles = roles_of(url)
    make_roles(url, roles)
    upgrade(url_as(url, roles.owner))
    as_worker = url_as(url, roles.worker)
    for table in NOT_FOR_WORKERS:
        for statement in ("SELECT 1 FROM {}", "DELETE FROM {}", "TRUNCATE {}", "INSERT INTO {} DEFAULT VALUES"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                execute(as_worker, statement.format(table.__tablename__))
    for statement in (
        "UPDATE tuner_jobs SET owner = 'mallory'",
        "UPDATE tuner_jobs SET spec = '{}'",
        "DELETE FROM tuner_jobs",
        "DELETE FROM tuner_events",
        "UPDATE tuner_reports SET report = '{}'",
        "UPDATE tuner_teams SET settings = '{}'",
        "CREATE TABLE mine (n int)",
        "CREATE TEMPORARY TABLE mine (n int)",
        "CREATE ROLE mallory SUPERUSER",
        f"SET ROLE {roles.service.name}",
        "SELECT rolpassword FROM pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(as_worker, statement)


def test_the_service_upgrades_nothing_and_nobody_else_connects(url: str) -> None:
    roles = roles_of(url)
    make_roles(url, roles)
    upgrade(url_as(url, roles.owner))
    for statement in ("DROP TABLE tuner_jobs", "ALTER TABLE tuner_jobs ADD COLUMN x int", "CREATE TABLE mine (n int)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(url_as(url, roles.service), statement)
    stranger = f"{make_url(url).database}_stranger"
    execute(url, f"CREATE ROLE {stranger} LOGIN")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        execute(make_url(url).set(username=stranger).render_as_string(hide_password=False), "SELECT 1")


def test_a_role_that_was_powerful_or_in_a_group_is_so_no_more(url: str) -> None:
    roles = roles_of(url)
    execute(url, f"CREATE ROLE {roles.service.name} SUPERUSER LOGIN")
    execute(url, f"CREATE ROLE {roles.worker.name} LOGIN")
    execute(url, f"GRANT {roles.service.name}, pg_read_server_files TO {roles.worker.name}")
    make_roles(url, roles)
    upgrade(url_as(url, roles.owner))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(url_as(url, roles.worker), "SELECT 1 FROM tuner_tokens")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(url_as(url, roles.service), "SELECT rolpassword FROM pg_authid")


def test_an_admin_who_is_no_superuser_can_make_them(url: str) -> None:
    roles = roles_of(url)
    database = make_url(url).database
    execute(url, f"CREATE ROLE {database}_admin LOGIN CREATEROLE CREATEDB")
    execute(url, f"ALTER DATABASE {database} OWNER TO {database}_admin")
    admin = make_url(url).set(username=f"{database}_admin").render_as_string(hide_password=False)
    upgrade(admin)
    make_roles(admin, roles)
    make_roles(admin, roles)
    with closing(Store.open(url_as(url, roles.worker))) as store:
        assert store.workers.workers() == ()
    refused = CliRunner().invoke(app, ["db", "roles", "--database-url", url_as(url, roles.worker)])
    assert refused.exit_code == 2
    assert "CREATEROLE" in refused.stderr


def test_a_restored_database_lets_in_who_was_let_in(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{client_programs()}:{os.environ['PATH']}")
    roles = roles_of(url)
    make_roles(url, roles)
    upgrade(url_as(url, roles.owner))
    back_up(url_as(url, roles.service), to=tmp_path / "backup")
    with closing(Store.open(url_as(url, roles.worker))) as store:
        assert store.now() > 0
        with pytest.raises(BackupFailed):  # the owner sees the sessions of the other roles
            restore(url_as(url, roles.owner), source=tmp_path / "backup", replace=True)
    restore(url_as(url, roles.owner), source=tmp_path / "backup", replace=True)
    assert check(url_as(url, roles.service)) == ()
    with closing(Store.open(url_as(url, roles.worker))) as store:
        assert store.workers.workers() == ()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(url_as(url, roles.worker), "SELECT 1 FROM tuner_tokens")


def test_the_command_makes_them_with_passwords_that_no_log_shows(url: str, tmp_path: Path) -> None:
    roles = roles_of(url)
    arguments = ["db", "roles", "--database-url", url]
    for role, login in {"owner": roles.owner, "service": roles.service, "worker": roles.worker}.items():
        (tmp_path / role).write_text(f"secret of {role}\n")
        arguments += [f"--{role}", login.name, f"--{role}-password-file", str(tmp_path / role)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    verifiers = execute(url, f"SELECT rolpassword FROM pg_authid WHERE rolname LIKE '{make_url(url).database}%'")
    assert len(verifiers) == 3
    assert all(str(verifier).startswith("SCRAM-SHA-256$") for (verifier,) in verifiers)


def test_sqlite_says_that_it_has_no_roles(tmp_path: Path) -> None:
    for arguments in ([], ["--database-url", f"sqlite:///{tmp_path}/tuner.db"]):
        done = CliRunner().invoke(app, ["db", "roles", *arguments])
        assert done.exit_code == 2
        assert "SQLite has no roles" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Tuner", "a-b", "pg_tuner", "tuner_service", ""])
def test_a_name_that_is_none_for_a_role_is_refused(url: str, name: str) -> None:
    done = CliRunner().invoke(app, ["db", "roles", "--database-url", url, "--worker", name])
    assert done.exit_code == 2
    assert "role must be" in done.stderr


def test_the_role_that_makes_them_is_none_of_them(url: str) -> None:
    roles = roles_of(url)
    make_roles(url, roles)
    with pytest.raises(InvalidValue, match="than the three"):
        make_roles(url_as(url, roles.owner), roles)
