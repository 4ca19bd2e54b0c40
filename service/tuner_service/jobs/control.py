"""``/v1/jobs/{job_id}/pause`` and the other operations that change a job: update, cancel, retry, delete."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter

from tuner.api.jobs import CancelRequest, JobDetail
from tuner.jobs.admission.change import JobChange
from tuner_service.access import ActorDep, ChangeableJob
from tuner_service.json_body import StrictRoute, strict_body
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import StoreDep

router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=StrictRoute)

_REFUSED = problem_responses(catalog.FORBIDDEN, catalog.NOT_FOUND, catalog.STATE_CONFLICT)
_BODY = problem_responses(catalog.BODY_TOO_LARGE, catalog.NOT_JSON)


@router.patch("/{job_id}", summary="Update a job", responses=_REFUSED | _BODY)
def update_job(
    job: ChangeableJob, change: Annotated[JobChange, strict_body(JobChange)], store: StoreDep, actor: ActorDep
) -> JobDetail:
    """Change the given fields and leave the others as they are.

    Name, notes and sharing can be changed at any time; priority, limits and budget as long as the job may still train.
    A job that has reached a limit and has not ended yet continues when the limit is raised.
    """
    store.jobs.change(job.id, change, by=actor)
    return JobDetail.of_status(store.jobs.status(job.id))


@router.delete("/{job_id}", status_code=HTTPStatus.NO_CONTENT, summary="Delete a job", responses=_REFUSED)
def delete_job(job: ChangeableJob, store: StoreDep, actor: ActorDep) -> None:
    """Delete a job that has ended, with its trials, runs, curves, logs, events, report and Optuna study.

    Its device time stays accounted for, and the audit log keeps its entries.
    """
    store.jobs.delete(job.id, by=actor)
    store.delete_study(job.id)


@router.post("/{job_id}/pause", summary="Pause a job", responses=_REFUSED)
def pause_job(job: ChangeableJob, store: StoreDep, actor: ActorDep) -> JobDetail:
    """Pause a job. Its runs stop at their next evaluation, with a snapshot. A paused job stays paused."""
    store.jobs.pause(job.id, by=actor)
    return JobDetail.of_status(store.jobs.status(job.id))


@router.post("/{job_id}/resume", summary="Resume a job", responses=_REFUSED)
def resume_job(job: ChangeableJob, store: StoreDep, actor: ActorDep) -> JobDetail:
    """Resume a paused job from its snapshots. A queued or running job stays as it is."""
    store.jobs.resume(job.id, by=actor)
    return JobDetail.of_status(store.jobs.status(job.id))


@router.post("/{job_id}/cancel", summary="Cancel a job", responses=_REFUSED | _BODY)
def cancel_job(
    job: ChangeableJob,
    store: StoreDep,
    actor: ActorDep,
    request: Annotated[CancelRequest, strict_body(CancelRequest)] = CancelRequest(),  # noqa: B008 (frozen)
) -> JobDetail:
    """Stop a job that has not ended. Its runs stop at their next heartbeat; the results so far stay."""
    store.jobs.cancel(job.id, reason=request.reason, by=actor)
    return JobDetail.of_status(store.jobs.status(job.id))


@router.post("/{job_id}/retry", summary="Retry a job", responses=_REFUSED | problem_responses(catalog.LIMIT_REACHED))
def retry_job(job: ChangeableJob, store: StoreDep, actor: ActorDep) -> JobDetail:
    """Continue a failed or cancelled job.

    Trials and runs that failed or were cancelled start again, with all their attempts; those with a result keep it.
    """
    store.jobs.retry(job.id, by=actor)
    return JobDetail.of_status(store.jobs.status(job.id))
