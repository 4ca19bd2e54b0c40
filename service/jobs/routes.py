"""``/v1/jobs``: submit, look at and cancel jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Header, Query, Response, status

from service.bodies import strictly
from service.jobs.schemas import SUBMIT_EXAMPLES, CancelRequest, JobPage
from service.problems import catalog
from service.problems.rendering import declared
from service.resources import ExistingJob, Id, StoreDep
from tuner.jobs.admission import JobRequest, admit
from tuner.jobs.progress import JobDetail, detail
from tuner.jobs.records import RunRecord, TrialRecord
from tuner.jobs.states import JobState

router = APIRouter(prefix="/jobs", tags=["jobs"])

_MISSING = declared(catalog.NOT_FOUND, catalog.INVALID_REQUEST)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Submit a job",
    responses=declared(catalog.INVALID_REQUEST, catalog.IDEMPOTENCY_CONFLICT, catalog.BODY_TOO_LARGE, catalog.NOT_JSON),
)
def submit_job(
    request: Annotated[JobRequest, strictly(JobRequest), Body(openapi_examples=SUBMIT_EXAMPLES)],
    response: Response,
    store: StoreDep,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
            description="Any text of your own. The same key with the same body gives the same job, however often it is "
            "sent: so a submission whose answer was lost can be sent again.",
        ),
    ] = None,
) -> JobDetail:
    """Ask for the best schedule of a workload.

    Only the workload must be given, and a worker must have announced it (`GET /v1/workloads`). What is left out is
    filled in, and the answer shows it: the job as stored leaves nothing open.
    """
    spec = admit(request, workloads=store.fleet.workloads())
    job = store.jobs.submit(spec, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return detail(store.planning.load(job.id))


@router.get("", summary="List jobs", responses=declared(catalog.INVALID_REQUEST))
def list_jobs(
    store: StoreDep,
    state: Annotated[list[JobState] | None, Query(description="Only jobs in these states. Repeatable.")] = None,
    cursor: Annotated[
        str | None,
        Query(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$", description="`next_cursor` of the page before."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many.")] = 50,
) -> JobPage:
    """Jobs of everyone, the newest first, a page at a time."""
    page = store.jobs.list(states=state, cursor=cursor, limit=limit)
    return JobPage(items=tuple(page.items), next_cursor=page.next_cursor)


@router.get("/{job_id}", summary="Show a job", responses=_MISSING)
def show_job(job_id: Id, store: StoreDep) -> JobDetail:
    """The job as stored, how far it is, and what it costs at most."""
    return detail(store.planning.load(job_id))


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    responses=declared(
        catalog.NOT_FOUND,
        catalog.STATE_CONFLICT,
        catalog.INVALID_REQUEST,
        catalog.BODY_TOO_LARGE,
        catalog.NOT_JSON,
    ),
)
def cancel_job(
    job_id: Id,
    store: StoreDep,
    request: Annotated[CancelRequest, strictly(CancelRequest), Body()] = CancelRequest(),  # noqa: B008 (frozen)
) -> JobDetail:
    """Stop a job that has not ended. Its runs stop at their next sign of life; results so far are kept."""
    store.jobs.cancel(job_id, reason=request.reason)
    return detail(store.planning.load(job_id))


@router.get("/{job_id}/trials", summary="List a job's trials", responses=_MISSING)
def list_trials(job: ExistingJob, store: StoreDep) -> tuple[TrialRecord, ...]:
    """Every schedule that the job has tried, by number: what it is, why it was born, and what became of it."""
    return store.jobs.trials(job.id)


@router.get("/{job_id}/runs", summary="List a job's runs", responses=_MISSING)
def list_runs(job: ExistingJob, store: StoreDep) -> tuple[RunRecord, ...]:
    """Every training of a schedule, in the order in which they were planned."""
    return store.jobs.runs(job.id)
