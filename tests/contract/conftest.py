"""One service, in which a login is needed, over a database with the jobs of two teams; and whoever asks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import pytest
import structlog
from fastapi import FastAPI

from service.app import create_app
from service.resources import Resources
from service.settings import Settings
from tests.integration.service.live import served
from tests.integration.service.team import SPEECH, VISION, as_user, settle
from tests.integration.service.world import World
from tuner.people.roles import Actor
from tuner.store import Store


@dataclass(frozen=True)
class Service:
    """A service that listens."""

    app: FastAPI
    store: Store
    address: str
    headers: dict[str, dict[str, str]]
    """Of the requests of an ``admin``, of a ``submitter`` of team vision, and of ``nobody``."""


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("contract"),
        auth="on",
        rate_limit="",
        login_rate_limit="",
        reap_interval=timedelta(hours=1),
        event_poll_interval=timedelta(milliseconds=20),
        port=0,
    )
    with closing(Store.open(settings.database)) as store:
        app = create_app(settings, store=store)
        resources: Resources = app.state.resources
        people = settle(store)
        world = World(store)
        world.completed(by=Actor(user="cleo"), team=VISION)
        world.job(by=Actor(user="cleo"), team=VISION)
        world.job(by=Actor(user="eve"), team=SPEECH)
        with served(resources.settings, store=store) as server:
            yield Service(
                app=app,
                store=store,
                address=server.address,
                headers={"admin": as_user(people.ada), "submitter": as_user(people.cleo), "nobody": {}},
            )
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def app(service: Service) -> FastAPI:
    return service.app
