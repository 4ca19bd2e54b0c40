"""Links a job to its study in the dashboard, and draws the schedule of a trial."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Response, status
from fastapi.responses import RedirectResponse
from starlette.routing import Route

from tuner.errors import NotFound
from tuner_service.access import VisibleJob
from tuner_service.dashboard.gateway import PATHS, Gateway
from tuner_service.jobs.followed_losses import followed_losses
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/jobs", tags=["jobs"])

_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The learning rate by update.",
        "content": {"image/svg+xml": {"schema": {"type": "string"}}},
    }
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "private, max-age=3600",
}


def install(app: FastAPI) -> None:
    """Serve the dashboard at the paths that its page requests."""
    gateway = Gateway()
    app.router.routes.extend(Route(path, endpoint=gateway, include_in_schema=False) for path in PATHS)


@router.get(
    "/{job_id}/dashboard",
    summary="Open a job's study in the dashboard",
    status_code=status.HTTP_307_TEMPORARY_REDIRECT,
    response_class=RedirectResponse,
    responses=problem_responses(catalog.NOT_FOUND, catalog.INVALID_REQUEST),
)
def open_dashboard(job: VisibleJob, store: StoreDep) -> RedirectResponse:
    """Redirects to the job's study in the Optuna dashboard. The study exists from the first planning on."""
    study_id = store.study_view().id_of(job.id)
    if study_id is None:
        raise NotFound("study", key=job.id, hint="The job has not been planned yet. Try again when it runs")
    return RedirectResponse(f"/dashboard/studies/{study_id}", status_code=status.HTTP_307_TEMPORARY_REDIRECT)


@router.get(
    "/{job_id}/trials/{number}/schedule.svg",
    summary="Draw a trial's schedule",
    response_class=Response,
    responses=problem_responses(catalog.NOT_FOUND, catalog.INVALID_REQUEST) | _PICTURE,
)
def draw_schedule(
    job: VisibleJob, number: Annotated[int, Path(ge=0, lt=2**31, description="Number of the trial.")], store: StoreDep
) -> Response:
    """A plot of a trial's learning rate over the full horizon; where it follows the loss, that of its first run."""
    trial = store.trials.get(job.id, number=number)
    losses = followed_losses(trial, job_id=job.id, store=store)
    picture = trial.schedule.to_svg(job.spec.search.total_steps, losses=losses)
    return Response(picture, media_type="image/svg+xml", headers=_HEADERS)
