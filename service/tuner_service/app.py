"""The application: its routes, its error handlers, its middleware."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter
from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from tuner import __version__
from tuner.store import Store
from tuner_service import openapi
from tuner_service.auth.authenticator import Authenticator
from tuner_service.auth.keys import derived, secret_key
from tuner_service.auth.middleware import Authentication
from tuner_service.dashboard import routes as dashboard
from tuner_service.events import routes as events
from tuner_service.health import routes as health
from tuner_service.health.database import READINESS_SECONDS, database_checks
from tuner_service.jobs import control, pictures, results, submission
from tuner_service.jobs import routes as jobs
from tuner_service.limits.bodies import BodyLimit, bodies_under_way
from tuner_service.limits.expensive import STREAM_THREADS
from tuner_service.metrics import routes as metrics
from tuner_service.metrics.latency import RequestLatency, latency_histogram
from tuner_service.metrics.registry import new_registry
from tuner_service.middleware import HeadRequests, OwnHost, RequestContext
from tuner_service.people import routes as people
from tuner_service.problems import handlers
from tuner_service.problems import routes as problems
from tuner_service.query_parameters import only_known_parameters
from tuner_service.queue import routes as queue
from tuner_service.reaper import Reaper
from tuner_service.resources import Resources
from tuner_service.runs import routes as runs
from tuner_service.schedules import routes as schedules
from tuner_service.settings import Settings
from tuner_service.shared_read import SharedRead
from tuner_service.standings import Standings
from tuner_service.web import routes as web
from tuner_service.webhooks import routes as webhooks
from tuner_service.webhooks.dispatcher import Dispatcher
from tuner_service.webhooks.sender import WebhookSender
from tuner_service.workers import routes as workers
from tuner_service.workloads import routes as workloads

_DESCRIPTION = """
Finds the learning-rate schedule that your model should train with.

Submit a job, watch it, read its report. Every error is a problem (RFC 9457): its `type` is the path of a page that
describes its causes and what to do. Times are seconds since 1970, UTC. A step is one optimizer update, counted from 0.
"""


def create_app(settings: Settings, *, store: Store, closing: threading.Event | None = None) -> FastAPI:
    """Build the application.

    Args:
        settings: The settings of the service.
        store: The open database. The caller closes it.
        closing: Set by the caller when the service stops, so that open event streams end.

    Raises:
        InvalidValue: The secret key cannot be used.
        OSError: The secret key cannot be made.
    """
    secret = secret_key(settings)
    authenticator = Authenticator(settings, accounts=store.people, secret=secret)
    reaper = Reaper(
        store,
        interval=settings.reap_interval,
        event_retention=settings.event_retention,
        lost_limit=settings.lost_attempts,
    )
    sender = WebhookSender(secret=derived(secret, purpose="webhooks"), allow_private=settings.webhooks_allow_private)
    dispatcher = Dispatcher(store, sender=sender)
    registry = new_registry(store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with reaper, dispatcher:
            yield

    app = FastAPI(
        title="Schedule Tuner",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        middleware=[
            Middleware(RequestLatency, histogram=latency_histogram(registry)),
            Middleware(RequestContext),
            Middleware(OwnHost, settings=settings),
            Middleware(Authentication, authenticator=authenticator),
            Middleware(HeadRequests),
            Middleware(BodyLimit, limit=settings.body_limit, under_way=bodies_under_way(settings.body_limit)),
        ],
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
        docs_url=None,  # these pages load scripts from the internet
        redoc_url=None,
    )
    app.state.resources = Resources(
        settings=settings,
        store=store,
        reaper=reaper,
        authenticator=authenticator,
        standings=Standings(store),
        latest_event=SharedRead(store.events.latest, interval=settings.event_poll_interval.total_seconds()),
        readiness=SharedRead(lambda: database_checks(store), interval=READINESS_SECONDS),
        stream_threads=CapacityLimiter(STREAM_THREADS),
        closing=closing or threading.Event(),
    )
    app.state.webhook_sender = sender
    app.state.metrics = registry
    handlers.install(app)
    known = [Depends(only_known_parameters)]
    job_features = (submission, jobs, control, results, pictures, events)
    for feature in (*job_features, runs, queue, workloads, workers, schedules, people, webhooks, dashboard):
        app.include_router(feature.router, prefix="/v1", dependencies=known)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(problems.router)
    app.include_router(web.router)
    dashboard.install(app)
    openapi.install(app)
    return app
