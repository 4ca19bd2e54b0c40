from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
import structlog
from fastapi import FastAPI

from service.app import create_app
from service.resources import Resources
from service.settings import Settings
from tests.integration.service.live import served
from tests.integration.service.world import World
from tuner.store import Store


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """A service over a database with a queued and a completed job."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
    settings = Settings(data_dir=tmp_path_factory.mktemp("contract"), reap_interval=timedelta(hours=1))
    with closing(Store.open(settings.database)) as store:
        world = World(store)
        world.completed()
        world.job()
        yield create_app(settings, store=store)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def address(app: FastAPI) -> Iterator[str]:
    """Where the service listens."""
    resources: Resources = app.state.resources
    with served(resources.settings.model_copy(update={"port": 0}), store=resources.store) as server:
        yield server.address
