"""``/v1/jobs``: look at jobs, their trials and their runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from tuner.errors import NotFound
from tuner.jobs.progress import JobDetail
from tuner.jobs.states import JobState, RunState
from tuner_service.access import PrincipalDep, VisibleJob
from tuner_service.examples import DETAIL, JOB, RUN, TRIAL, answer
from tuner_service.jobs.schemas import Cursor, JobPage, RunPage, TrialPage
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import Id, StoreDep

router = APIRouter(prefix="/jobs", tags=["jobs"])

_MISSING = declared(catalog.NOT_FOUND)

Name = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


@router.get("", summary="List jobs", responses=answer(JobPage(items=(JOB,), next_cursor="17")))
def list_jobs(
    store: StoreDep,
    asking: PrincipalDep,
    state: Annotated[list[JobState] | None, Query(description="Only jobs in these states. Repeatable.")] = None,
    team: Annotated[Name, Query(description="Only this team's.")] = None,
    workload: Annotated[Name, Query(description="Only those on this workload.")] = None,
    owner: Annotated[Name, Query(description="Only those that this user submitted.")] = None,
    text: Annotated[
        Name,
        Query(description="Only those with this in their name, notes or workload, or at the start of their id."),
    ] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many.")] = 50,
) -> JobPage:
    """The jobs that you may see, your team's and the shared ones: the newest first, a page at a time."""
    page = store.jobs.list(
        visibility=asking.visibility,
        states=state,
        team=team,
        workload=workload,
        owner=owner,
        text=text,
        cursor=cursor,
        limit=limit,
    )
    return JobPage(items=page.items, next_cursor=page.next_cursor)


@router.get("/{job_id}", summary="Show a job", responses=_MISSING | answer(DETAIL))
def show_job(job_id: Id, store: StoreDep, asking: PrincipalDep) -> JobDetail:
    """The job as stored, how far it is, and what it costs at most."""
    detail = store.jobs.detail(job_id)  # the one look at the database: this is what everybody polls
    if not asking.visibility.covers(detail):
        raise NotFound("job", key=job_id)
    return detail


@router.get(
    "/{job_id}/trials",
    summary="List a job's trials",
    responses=_MISSING | answer(TrialPage(items=(TRIAL,), next_cursor=None)),
)
def list_trials(
    job: VisibleJob,
    store: StoreDep,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500, description="At most so many.")] = 200,
) -> TrialPage:
    """Every schedule that the job has tried, by number: what it is, why it was born, and what became of it."""
    page = store.trials.list(job.id, cursor=cursor, limit=limit)
    return TrialPage(items=page.items, next_cursor=page.next_cursor)


@router.get(
    "/{job_id}/runs",
    summary="List a job's runs",
    responses=_MISSING | answer(RunPage(items=(RUN,), next_cursor=None)),
)
def list_runs(
    job: VisibleJob,
    store: StoreDep,
    trial: Annotated[int | None, Query(ge=0, lt=2**31, description="Only those of the trial with this number.")] = None,
    state: Annotated[RunState | None, Query(description="Only those in this state.")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500, description="At most so many.")] = 200,
) -> RunPage:
    """Every training of a schedule, in the order in which they were planned."""
    page = store.runs.list(job.id, trial=trial, state=state, cursor=cursor, limit=limit)
    return RunPage(items=page.items, next_cursor=page.next_cursor)
