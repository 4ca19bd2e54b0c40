from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from fastapi.testclient import TestClient

from tests.integration.service.world import World
from tuner.store import Store
from tuner_service.app import create_app
from tuner_service.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> Iterator[None]:
    """Structlog's own default draws each traceback with all local variables, which takes seconds."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file; copied for each test, because migrating takes longer than copying."""
    file = tmp_path_factory.mktemp("empty") / "tuner.db"
    Store.open(f"sqlite:///{file}").close()
    return file


@pytest.fixture(scope="session")
def still(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[TestClient]:
    """A service with one worker, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("still")
    (folder / "tuner.db").write_bytes(empty_database.read_bytes())
    settings = Settings(data_dir=folder)
    with closing(Store.open(settings.database)) as store:
        World(store)
        with TestClient(create_app(settings, store=store), base_url="http://127.0.0.1:8642") as client:
            yield client


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    (tmp_path / "tuner.db").write_bytes(empty_database.read_bytes())
    return Settings(data_dir=tmp_path, event_poll_interval=timedelta(milliseconds=20))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with closing(Store.open(settings.database)) as store:
        yield store


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


@pytest.fixture
def api(settings: Settings, store: Store) -> Iterator[TestClient]:
    app = create_app(settings, store=store)
    with TestClient(app, base_url="http://127.0.0.1:8642") as client:
        yield client
