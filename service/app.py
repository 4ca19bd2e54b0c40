"""The application: its routes, its errors, its middleware. `create_app` builds one from what it is given."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from service import openapi
from service.auth.guard import Guard
from service.auth.keys import secret_key
from service.auth.middleware import Authentication
from service.dashboard import routes as dashboard
from service.health import routes as health
from service.jobs import answers, events
from service.jobs import routes as jobs
from service.middleware import BodyLimit, OwnHost, RequestContext
from service.people import routes as people
from service.problems import handlers
from service.problems import routes as problems
from service.reaper import Reaper
from service.resources import Resources
from service.runs import routes as runs
from service.schedules import routes as schedules
from service.settings import Settings
from service.web import routes as web
from service.workers import routes as workers
from service.workloads import routes as workloads
from tuner import __version__
from tuner.store import Store

_DESCRIPTION = """
Finds the learning-rate schedule that your model should train with.

Submit a job, watch it, read its report. Every error is a problem (RFC 9457): its `type` is the path of a page that says
why it happens and what to do. Times are seconds since 1970, UTC. A step is one optimizer update, counted from 0.
"""


def create_app(settings: Settings, *, store: Store, closing: threading.Event | None = None) -> FastAPI:
    """Build the application.

    Args:
        settings: Of the service.
        store: The database, open. It stays the caller's: he closes it.
        closing: Set by the caller when the service has been told to stop, so that open event streams end.

    Raises:
        InvalidValue: The secret key cannot be used.
        OSError: The secret key cannot be made.
    """
    secret = secret_key(settings)
    guard = Guard(settings, accounts=store.people, secret=secret)
    reaper = Reaper(store, interval=settings.reap_interval)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with reaper:
            yield

    app = FastAPI(
        title="Schedule Tuner",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        middleware=[
            Middleware(RequestContext),
            Middleware(OwnHost, settings=settings),
            Middleware(Authentication, guard=guard),
            Middleware(BodyLimit, limit=settings.body_limit),
        ],
        redirect_slashes=False,
        docs_url=None,  # these pages load scripts from the internet
        redoc_url=None,
    )
    app.state.resources = Resources(
        settings=settings,
        store=store,
        reaper=reaper,
        guard=guard,
        secret=secret,
        closing=closing or threading.Event(),
    )
    handlers.install(app)
    for feature in (jobs, events, answers, runs, workloads, workers, schedules, people, dashboard):
        app.include_router(feature.router, prefix="/v1")
    app.include_router(health.router)
    app.include_router(problems.router)
    app.include_router(web.router)
    dashboard.install(app)
    openapi.install(app)
    return app
