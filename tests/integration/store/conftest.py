from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from sqlalchemy import text

from tests.integration.store.builders import OFFER, Bench, announce
from tests.integration.store.databases import (  # noqa: F401
    postgres,
    postgresql_database,
    sqlite_database,
    sqlite_template,
    sqlite_url,
    url,
)
from tuner.store import Store
from tuner.store.db.engine import WRITES, connect, parse_url


@pytest.fixture(scope="session")
def open_store() -> Iterator[Callable[[str], Store]]:
    """Opens the store over a database once for all tests."""
    with ExitStack() as stack:

        @cache
        def open_once(url: str) -> Store:
            opened = Store(url)
            stack.callback(opened.close)
            return opened

        yield open_once


@pytest.fixture
def store(url: str, open_store: Callable[[str], Store]) -> Store:  # noqa: F811
    """A store with one workload announced, on either database."""
    store = open_store(url)
    announce(store, "w1", device="cpu", workloads=[OFFER])
    return store


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


@pytest.fixture
def sql(url: str) -> Iterator[Callable[..., list[Any]]]:  # noqa: F811
    """Run a statement behind the store's back: to set a clock back, or to look at what it hides."""
    engine = connect(parse_url(url)).execution_options(**{WRITES: True})

    def run(statement: str, **values: object) -> list[Any]:
        with engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []

    yield run
    engine.dispose()


@pytest.fixture
def expire(sql: Callable[..., list[Any]]) -> Callable[[str], None]:
    """Let the lease on a run expire."""

    def expire(run_id: str) -> None:
        sql("UPDATE tuner_runs SET lease_expires_at = 1.0 WHERE id = :id", id=run_id)

    return expire
