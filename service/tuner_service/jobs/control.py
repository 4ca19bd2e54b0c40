"""``/v1/jobs/{job_id}/pause`` and its kin: what people do to a job while it runs, or after."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body

from tuner.jobs.admission.change import JobChange
from tuner.jobs.progress import JobDetail
from tuner_service.access import ActorDep, ChangeableJob
from tuner_service.examples import DETAIL, answer
from tuner_service.jobs.schemas import CANCEL_EXAMPLES, CHANGE_EXAMPLES, CancelRequest
from tuner_service.json_body import strictly
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/jobs", tags=["jobs"])

_REFUSED = declared(catalog.FORBIDDEN, catalog.NOT_FOUND, catalog.STATE_CONFLICT)
_BODY = declared(catalog.BODY_TOO_LARGE, catalog.NOT_JSON)
_DONE = answer(DETAIL)


@router.patch("/{job_id}", summary="Change a job", responses=_REFUSED | _BODY | _DONE)
def change_job(
    job: ChangeableJob,
    change: Annotated[JobChange, strictly(JobChange), Body(openapi_examples=CHANGE_EXAMPLES)],
    store: StoreDep,
    by: ActorDep,
) -> JobDetail:
    """Change what is given, and leave the rest.

    Name, notes and whether it is shared can be changed at any time; priority, limits and budget as long as the job may
    still train. A raised limit lets a job go on that had reached it and has not ended yet.
    """
    store.jobs.change(job.id, change, by=by)
    return store.jobs.detail(job.id)


@router.delete("/{job_id}", status_code=HTTPStatus.NO_CONTENT, summary="Delete a job", responses=_REFUSED)
def delete_job(job: ChangeableJob, store: StoreDep, by: ActorDep) -> None:
    """Forget a job that is over: its trials, runs, curves, logs, events, report and Optuna study.

    The device time that it took stays counted, and the audit log keeps what was done to it.
    """
    store.jobs.delete(job.id, by=by)
    store.delete_study(job.id)


@router.post("/{job_id}/pause", summary="Pause a job", responses=_REFUSED | _DONE)
def pause_job(job: ChangeableJob, store: StoreDep, by: ActorDep) -> JobDetail:
    """Set a job aside. What is being trained stops at its next evaluation, with a snapshot. A paused job stays so."""
    store.jobs.pause(job.id, by=by)
    return store.jobs.detail(job.id)


@router.post("/{job_id}/resume", summary="Resume a job", responses=_REFUSED | _DONE)
def resume_job(job: ChangeableJob, store: StoreDep, by: ActorDep) -> JobDetail:
    """Let a paused job go on, from its snapshots. A job that is queued or running stays as it is."""
    store.jobs.resume(job.id, by=by)
    return store.jobs.detail(job.id)


@router.post("/{job_id}/cancel", summary="Cancel a job", responses=_REFUSED | _BODY | _DONE)
def cancel_job(
    job: ChangeableJob,
    store: StoreDep,
    by: ActorDep,
    request: Annotated[
        CancelRequest, strictly(CancelRequest), Body(openapi_examples=CANCEL_EXAMPLES)
    ] = CancelRequest(),  # noqa: B008 (frozen)
) -> JobDetail:
    """Stop a job that has not ended. Its runs stop at their next sign of life; results so far are kept."""
    store.jobs.cancel(job.id, reason=request.reason, by=by)
    return store.jobs.detail(job.id)


@router.post("/{job_id}/retry", summary="Try a job again", responses=_REFUSED | declared(catalog.LIMIT_REACHED) | _DONE)
def retry_job(job: ChangeableJob, store: StoreDep, by: ActorDep) -> JobDetail:
    """Have a failed or cancelled job go on where it stopped.

    Trials and runs that failed or were cancelled are tried again from their start, with all their attempts; what has a
    result keeps it.
    """
    store.jobs.retry(job.id, by=by)
    return store.jobs.detail(job.id)
