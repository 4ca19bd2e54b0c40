"""The way from a job to its study in the dashboard, and the picture of a trial's schedule."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, FastAPI, Path, Response, status
from fastapi.responses import RedirectResponse
from starlette.routing import Route

from tuner.errors import NotFound
from tuner_service.access import VisibleJob
from tuner_service.dashboard.gateway import PATHS, Gateway
from tuner_service.dashboard.pictures import schedule_svg
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/jobs", tags=["jobs"])

_PICTURE = {"description": "The learning rate by update.", "content": {"image/svg+xml": {"schema": {"type": "string"}}}}
_HEADERS = {"Content-Security-Policy": "default-src 'none'", "Cache-Control": "private, max-age=3600"}


def install(app: FastAPI) -> None:
    """Serve the dashboard at the paths that its page asks for."""
    gateway = Gateway()
    app.router.routes.extend(Route(path, endpoint=gateway, include_in_schema=False) for path in PATHS)


@router.get(
    "/{job_id}/dashboard",
    summary="Open a job's study",
    status_code=status.HTTP_307_TEMPORARY_REDIRECT,
    response_class=RedirectResponse,
    responses=declared(catalog.NOT_FOUND, catalog.INVALID_REQUEST),
)
def open_dashboard(job: VisibleJob, store: StoreDep) -> RedirectResponse:
    """Leads to the page of the job's study in the Optuna dashboard; there is one from the first planning on."""
    study_id = store.study_view().id_of(job.id)
    if study_id is None:
        raise NotFound("study", key=job.id, hint="The job has not been planned yet. StudyScope again when it runs")
    return RedirectResponse(f"/dashboard/studies/{study_id}", status_code=status.HTTP_307_TEMPORARY_REDIRECT)


@router.get(
    "/{job_id}/trials/{number}/schedule.svg",
    summary="Draw a trial's schedule",
    response_class=Response,
    responses=declared(catalog.NOT_FOUND, catalog.INVALID_REQUEST)
    | {
        200: {
            "description": "The learning rate by update.",
            "content": {
                "image/svg+xml": {
                    "schema": {"type": "string"},
                    "example": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 240">...</svg>',
                }
            },
        }
    },
)
def draw_schedule(
    job: VisibleJob, number: Annotated[int, Path(ge=0, lt=2**31, description="Number of the trial.")], store: StoreDep
) -> Response:
    """The learning rate of a trial over the full horizon, as a picture."""
    schedule = store.trials.get(job.id, number=number).schedule
    picture = schedule_svg(schedule, total_steps=job.spec.search.total_steps)
    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "Cache-Control": "private, max-age=3600",
    }
    return Response(picture, media_type="image/svg+xml", headers=headers)
