"""The gate before optuna-dashboard: who may see which study, and nobody may change one.

The dashboard has neither users nor rights, and its page asks for absolute paths. So it is served at exactly those
paths, each of them named here; what is not named is not there.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from a2wsgi import WSGIMiddleware
from fastapi.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tuner.errors import DatabaseUnavailable, NotFound
from tuner.people.permissions import Principal, Visibility
from tuner.report.report import Report
from tuner.store import Store
from tuner.store.optuna.study_scope import StudyScope, use_scope
from tuner_service.dashboard import notes
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_response
from tuner_service.resources import Resources

if TYPE_CHECKING:
    from tuner.store.optuna.study_view import StudyView

PATHS = ("/dashboard{rest:path}", "/static/{file:path}", "/favicon.ico", "/api/{rest:path}", "/csv/{study:int}")
"""Where the dashboard's page looks for itself and its data."""
MAX_LISTED = 1_000
"""Studies on the dashboard's first page, the newest; every other one is reached from its job."""

_READS = frozenset({"GET", "HEAD"})
_OPEN = re.compile(r"/dashboard(/.*)?|/static/.+|/favicon\.ico|/api/meta")
_LIST = re.compile(r"/api/studies/?")
# Contour plots take a minute and 200 MB for a thousand trials.
_ONE = re.compile(r"/(?:api/studies|csv)/(\d+)(?:/param_importances|/plot/(?!contour)[a-z_]+)?/?")
_TOLD_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class _Told:
    look: StudyScope
    at: float


class Gateway:
    """The dashboard as an ASGI application that asks who is looking."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dashboard: ASGIApp | None = None
        self._told: dict[str, _Told] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        request = Request(scope)
        resources: Resources = request.app.state.resources
        if request.method not in _READS:
            refusal = problem_response(
                catalog.METHOD_NOT_ALLOWED,
                detail="The dashboard is read-only. Jobs are changed through /v1/jobs.",
                request_id=request.state.request_id,
                members={"method": request.method, "allowed": sorted(_READS)},
                headers={"Allow": ", ".join(sorted(_READS))},
            )
            await refusal(scope, receive, send)
            return
        path, seen = request.url.path, _asking(request).visibility
        look = await run_in_threadpool(self._look, resources.store, path=path, visibility=seen)
        dashboard = await run_in_threadpool(self._ready, resources.store)
        with use_scope(look):
            await dashboard(scope, receive, send)

    def _ready(self, store: Store) -> ASGIApp:
        """The dashboard itself, made at the first request: it takes a second to import."""
        with self._lock:
            if self._dashboard is None:
                from optuna_dashboard import wsgi

                adapted = cast(ASGIApp, WSGIMiddleware(wsgi(store.study_view())))  # its types spell out every message
                self._dashboard = GZipMiddleware(adapted)
            return self._dashboard

    def _look(self, store: Store, *, path: str, visibility: Visibility) -> StudyScope:
        """What this request may see.

        Raises:
            NotFound: The path is none of the dashboard's, or of a study that may not be seen.
        """
        if _OPEN.fullmatch(path):
            return StudyScope(titles={})
        if _LIST.fullmatch(path):
            return StudyScope(titles=_titles(store, visibility=visibility))
        one = _ONE.fullmatch(path)
        if one is None:
            raise NotFound("path", key=path, hint="The dashboard is at /dashboard, the API under /v1")
        view = store.study_view()
        name = view.name_of(int(one[1])) if len(one[1]) < 10 else None
        try:
            job = None if name is None else store.jobs.get(name)
        except NotFound:  # a study that somebody else keeps in the same database
            job = None
        if job is None or not visibility.covers(job):
            raise NotFound("study", key=one[1], hint="The dashboard's first page lists those that there are")
        return self._of_study(store, view=view, job_id=job.id)

    def _of_study(self, store: Store, *, view: StudyView, job_id: str) -> StudyScope:
        now = time.monotonic()
        told = self._told.get(job_id)
        if told is None or now - told.at > _TOLD_SECONDS:
            told = _Told(look=_story(store, view=view, job_id=job_id), at=now)
            self._told = {key: one for key, one in self._told.items() if now - one.at <= _TOLD_SECONDS}
            self._told[job_id] = told
        return told.look


def _asking(request: Request) -> Principal:
    found: Principal = request.state.principal
    return found


def _titles(store: Store, *, visibility: Visibility) -> dict[str, str]:
    titles: dict[str, str] = {}
    cursor: str | None = None
    while len(titles) < MAX_LISTED:
        page = store.jobs.list(visibility=visibility, cursor=cursor, limit=200)
        titles.update((job.id, notes.title(job)) for job in page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    return titles


def _story(store: Store, *, view: StudyView, job_id: str) -> StudyScope:
    record = store.planning.load(job_id)
    stored = store.jobs.report(job_id)
    study_id = view.id_of(job_id)
    if study_id is None:
        raise DatabaseUnavailable("the study has just been deleted")
    trial_ids = {trial.number: trial._trial_id for trial in view.get_all_trials(study_id, deepcopy=False)}
    report = None if stored is None else Report.model_validate(stored)
    attributes = notes.attributes(record, report=report, trial_ids=trial_ids)
    return StudyScope(titles={job_id: notes.title(record.job)}, study=job_id, attributes=attributes)
