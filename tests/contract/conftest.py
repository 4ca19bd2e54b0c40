"""A service with authentication, over a database with the jobs of two teams, and callers of several roles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import structlog
from fastapi import FastAPI

from tests.integration.service.live import served
from tests.integration.service.team import SPEECH, VISION, as_user, settle
from tests.integration.service.world import World
from tuner.people.permissions import Actor
from tuner.store import Store
from tuner_service.app import create_app
from tuner_service.resources import Resources
from tuner_service.settings import Settings
from tuner_service.webhooks.dispatcher import Dispatcher

CLEO, EVE = Actor(user="cleo"), Actor(user="eve")


@dataclass(frozen=True)
class Service:
    """A service that listens."""

    app: FastAPI
    store: Store
    address: str
    headers: dict[str, dict[str, str]]
    """Of the requests of an ``admin``, of a ``submitter`` of team vision, and of ``nobody``."""
    world: World

    completed: str
    """Id of a job that stays."""

    def real_things(self, *, lasting: bool) -> dict[str, list[Any]]:
        """Values of path parameters that name something: jobs in several states and of either team, a run, a worker.

        Args:
            lasting: Whether the job that stays is among them.
        """
        cancelled, queued = (self.world.job(by=CLEO, team=VISION) for _ in range(2))
        self.store.jobs.cancel(cancelled.id, reason="to be tried again")
        theirs = self.world.job(by=EVE, team=SPEECH)
        return {
            "job_id": [cancelled.id, queued.id, theirs.id, *([self.completed] if lasting else [])],
            "run_id": [run.id for run in self.store.runs.list(self.completed, limit=3).items],
            "name": ["w1", "digits-mlp"],
            "number": [0],
        }


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
    with closing(Store.open(settings.database)) as store, pytest.MonkeyPatch.context() as patch:
        # Webhooks to made-up addresses are made here, and nobody is to be called.
        patch.setattr(Dispatcher, "_repeat", lambda self, task: None)
        app = create_app(settings, store=store)
        resources: Resources = app.state.resources
        people = settle(store)
        world = World(store)
        completed = world.completed(by=CLEO, team=VISION)
        world.job(by=EVE, team=SPEECH)
        with served(resources.settings, store=store) as server:
            yield Service(
                app=app,
                store=store,
                address=server.address,
                world=world,
                completed=completed.id,
                headers={"admin": as_user(people.ada), "submitter": as_user(people.cleo), "nobody": {}},
            )
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def app(service: Service) -> FastAPI:
    return service.app
