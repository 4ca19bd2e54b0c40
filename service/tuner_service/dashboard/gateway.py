"""Access control for optuna-dashboard: it limits each caller to visible studies, and forbids changes.

The dashboard has neither users nor rights, and its page requests absolute paths. So it is served at exactly these
paths, all of which are listed here; any other path leads to 404.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import nullcontext
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
from tuner_service.dashboard.spreadsheets import WithoutFormulas
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_response
from tuner_service.resources import Resources

if TYPE_CHECKING:
    from tuner.store.optuna.study_view import StudyView

PATHS = ("/dashboard{rest:path}", "/static/{file:path}", "/favicon.ico", "/api/{rest:path}", "/csv/{study:int}")
"""The paths of the dashboard's page and its data."""
MAX_LISTED = 1_000
"""Maximum number of studies on the dashboard's first page, the newest; the others are linked from their jobs."""

_READS = frozenset({"GET", "HEAD"})
_OPEN = re.compile(r"/dashboard(/.*)?|/static/.+|/favicon\.ico|/api/meta")
_LIST = re.compile(r"/api/studies/?")
_ONE = re.compile(r"/(?:api/studies/(\d+)(?:/param_importances)?|csv/(\d+))/?")
# Plotly on the server is an alternative to the page's own plots: the page asks for it where plotly is installed and
# somebody switches it on. A contour plot of a thousand trials takes a minute and 200 MB.
_PLOT = re.compile(r"/api/studies/\d+/plot/[^/]*/?")
_CACHE_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class _Cached:
    scope: StudyScope
    at: float


class Gateway:
    """The dashboard as an ASGI application with access control."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dashboard: ASGIApp | None = None
        self._cache: dict[str, _Cached] = {}

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
        principal, path = _principal(request), request.url.path
        counted = nullcontext() if _OPEN.fullmatch(path) else resources.authenticator.expensive.one(principal.user)
        with counted:
            study_scope = await run_in_threadpool(
                self._study_scope, resources.store, path=path, visibility=principal.visibility
            )
            dashboard = await run_in_threadpool(self._ready, resources.store)
            with use_scope(study_scope):
                await dashboard(scope, receive, send)

    def _ready(self, store: Store) -> ASGIApp:
        """The dashboard itself, created at the first request: its import takes a second."""
        with self._lock:
            if self._dashboard is None:
                from optuna_dashboard import wsgi

                adapted = cast(ASGIApp, WSGIMiddleware(wsgi(store.study_view())))  # its types name each ASGI message
                self._dashboard = GZipMiddleware(WithoutFormulas(adapted))
            return self._dashboard

    def _study_scope(self, store: Store, *, path: str, visibility: Visibility) -> StudyScope:
        """The studies that a request may read.

        Raises:
            NotFound: The path is not one of the dashboard's, or names a study that the caller may not see.
        """
        if _OPEN.fullmatch(path):
            return StudyScope(titles={})
        if _LIST.fullmatch(path):
            return StudyScope(titles=_titles(store, visibility=visibility))
        if _PLOT.fullmatch(path):
            raise NotFound(
                "path", key=path, hint="The page draws its plots in the browser: /dashboard/studies/ID/graph"
            )
        one = _ONE.fullmatch(path)
        if one is None:
            raise NotFound("path", key=path, hint="The dashboard is at /dashboard, the API under /v1")
        view = store.study_view()
        study = one[1] or one[2]
        name = view.name_of(int(study)) if len(study) < 10 else None
        try:
            job = None if name is None else store.jobs.get(name)
        except NotFound:  # a study of another program in the same database
            job = None
        if job is None or not visibility.covers(job):
            raise NotFound("study", key=study, hint="The dashboard's first page lists the studies")
        return self._one_study(store, view=view, job_id=job.id)

    def _one_study(self, store: Store, *, view: StudyView, job_id: str) -> StudyScope:
        now = time.monotonic()
        cached = self._cache.get(job_id)
        if cached is None or now - cached.at > _CACHE_SECONDS:
            cached = _Cached(scope=_annotated_study(store, view=view, job_id=job_id), at=now)
            self._cache = {key: entry for key, entry in self._cache.items() if now - entry.at <= _CACHE_SECONDS}
            self._cache[job_id] = cached
        return cached.scope


def _principal(request: Request) -> Principal:
    caller: Principal = request.state.principal
    return caller


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


def _annotated_study(store: Store, *, view: StudyView, job_id: str) -> StudyScope:
    """One study with the notes and the figure of its job."""
    record = store.planning.load(job_id)
    stored = store.jobs.report(job_id)
    study_id = view.id_of(job_id)
    if study_id is None:
        raise DatabaseUnavailable("the study has just been deleted")
    trial_ids = {trial.number: trial._trial_id for trial in view.get_all_trials(study_id, deepcopy=False)}
    report = None if stored is None else Report.model_validate(stored)
    attributes = notes.attributes(record, report=report, trial_ids=trial_ids)
    recommended = notes.recommended(record, report=report)
    number = None if recommended is None else recommended.optuna_number
    best = None if number is None else trial_ids.get(number)
    return StudyScope(titles={job_id: notes.title(record.job)}, study=job_id, attributes=attributes, best=best)
