"""What every connection to PostgreSQL is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from tests.integration.store.postgres_server import PostgresServer
from tuner.errors import DatabaseUnavailable
from tuner.store.db.database import Database
from tuner.store.db.engine import connect, parse_url, postgres_settings
from tuner.store.optuna.storage import open_backend

pytestmark = pytest.mark.pg


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    url = postgres.create()
    yield url
    postgres.drop(url)


def shown(engine: Engine, name: str) -> str:
    with engine.connect() as connection:
        return str(connection.execute(text(f"SHOW {name}")).scalar_one())


LIMITS = {"statement_timeout": "1min", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "5s"}


@pytest.mark.parametrize(("name", "value"), LIMITS.items())
def test_nothing_may_take_for_ever(database_url: str, name: str, value: str) -> None:
    engine = connect(parse_url(database_url))
    assert shown(engine, name) == value
    engine.dispose()


def test_optunas_connections_have_the_same_limits(database_url: str) -> None:
    from tuner.store.maintenance.migrate import upgrade

    upgrade(database_url)
    backend = open_backend(database_url)
    assert {name: shown(backend.engine, name) for name in LIMITS} == LIMITS
    backend.engine.dispose()


def test_a_migration_may_take_as_long_as_it_needs(database_url: str) -> None:
    engine = connect(parse_url(database_url), timeouts=False)
    assert {shown(engine, name) for name in LIMITS} == {"0"}
    engine.dispose()


def test_what_the_url_sets_holds(database_url: str) -> None:
    url = parse_url(database_url).update_query_dict(
        {"options": "-c statement_timeout=5000", "application_name": "mine", "connect_timeout": "3"}
    )
    engine = connect(url)
    assert (shown(engine, "statement_timeout"), shown(engine, "lock_timeout")) == ("5s", "10s")
    assert shown(engine, "application_name") == "mine"
    assert "connect_timeout" not in postgres_settings(url)["connect_args"]
    engine.dispose()


def test_a_statement_that_takes_too_long_is_an_outage_and_not_a_mistake(database_url: str) -> None:
    url = parse_url(database_url).update_query_dict({"options": "-c statement_timeout=50"})
    database = Database(url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnavailable, match="statement timeout"):
        database.read(lambda session: session.execute(text("SELECT pg_sleep(30)")))
    database.close()


def test_a_transaction_left_open_is_ended_by_the_server_and_taken_up_again(database_url: str) -> None:
    """As of a process that was stopped in the middle: its locks would hold up everybody."""
    url = parse_url(database_url).update_query_dict({"options": "-c idle_in_transaction_session_timeout=100"})
    database = Database(url.render_as_string(hide_password=False))
    tries = []

    def body(session) -> int:
        number = session.execute(text("SELECT 1")).scalar_one()
        tries.append(number)
        if len(tries) == 1:
            threading.Event().wait(0.5)  # longer than the server allows
        return session.execute(text("SELECT 2")).scalar_one()

    assert database.read(body) == 2
    assert tries == [1, 1]
    database.close()


def test_a_server_that_is_not_there_is_told_within_the_time_for_connecting() -> None:
    engine = connect(parse_url("postgresql://nobody@127.0.0.1:9/none"))
    with pytest.raises(OperationalError):
        engine.connect()
    engine.dispose()
