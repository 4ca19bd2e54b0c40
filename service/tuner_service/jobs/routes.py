"""``/v1/jobs``: read jobs, their trials and their runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from tuner.api.jobs import (
    JobDetail,
    JobListView,
    JobPage,
    JobSummary,
    JobSummaryPage,
    JobView,
    TrialPage,
    TrialView,
)
from tuner.api.runs import RunPage, RunView
from tuner.errors import NotFound
from tuner.jobs.progress import JobSort
from tuner.jobs.states import JobState, RunState
from tuner_service.access import PrincipalDep, VisibleJob
from tuner_service.jobs.parameters import Cursor
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import Id, StoreDep

router = APIRouter(prefix="/jobs", tags=["jobs"])

_MISSING = problem_responses(catalog.NOT_FOUND)

Name = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


@router.get("", summary="List jobs")
def list_jobs(
    store: StoreDep,
    principal: PrincipalDep,
    state: Annotated[list[JobState] | None, Query(description="Only jobs in these states. Repeatable.")] = None,
    team: Annotated[Name, Query(description="Only jobs of this team.")] = None,
    workload: Annotated[Name, Query(description="Only jobs of this workload.")] = None,
    owner: Annotated[Name, Query(description="Only jobs that this user submitted.")] = None,
    text: Annotated[
        Name,
        Query(description="Only jobs with this text in their name, notes or workload, or at the start of their id."),
    ] = None,
    sort: Annotated[
        JobSort,
        Query(
            description="`newest` or `oldest` first; `cost`: the most device time first; `finished`: the one that "
            "ended last first, then those that have not ended."
        ),
    ] = JobSort.NEWEST,
    view: Annotated[
        JobListView,
        Query(
            description="`full`: with the request of each job; `summary`: with its progress and its result so far "
            "instead."
        ),
    ] = JobListView.FULL,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Jobs per page.")] = 50,
) -> JobPage | JobSummaryPage:
    """The jobs that you may see, which are those of your team and the shared ones."""
    page = store.jobs.list(
        visibility=principal.visibility,
        states=state,
        team=team,
        workload=workload,
        owner=owner,
        text=text,
        sort=sort,
        cursor=cursor,
        limit=limit,
    )
    if view is JobListView.SUMMARY:
        overviews = store.jobs.overviews([job.id for job in page.items])
        return JobSummaryPage(items=tuple(map(JobSummary.of, overviews)), next_cursor=page.next_cursor)
    return JobPage(items=tuple(map(JobView.of, page.items)), next_cursor=page.next_cursor)


@router.get("/{job_id}", summary="Get a job", responses=_MISSING)
def get_job(job_id: Id, store: StoreDep, principal: PrincipalDep) -> JobDetail:
    """The job as stored, its progress, and the upper bound of its cost."""
    status = store.jobs.status(job_id)  # a single read: clients poll this operation
    if not principal.visibility.covers(status.job):
        raise NotFound("job", key=job_id)
    return JobDetail.of_status(status)


@router.get("/{job_id}/trials", summary="List a job's trials", responses=_MISSING)
def list_trials(
    job: VisibleJob,
    store: StoreDep,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Trials per page.")] = 200,
) -> TrialPage:
    """Every configuration that the job has tried, by number.

    Each with its schedule, the losses of its runs, why it was created, and why it ended.
    """
    page = store.trials.list(job.id, cursor=cursor, limit=limit)
    losses = store.trials.losses(job.id, numbers=[trial.number for trial in page.items])
    items = tuple(TrialView.of(trial, losses=losses[trial.number]) for trial in page.items)
    return TrialPage(items=items, next_cursor=page.next_cursor)


@router.get("/{job_id}/runs", summary="List a job's runs", responses=_MISSING)
def list_runs(
    job: VisibleJob,
    store: StoreDep,
    trial: Annotated[
        int | None, Query(ge=-1, lt=2**31, description="Only runs of this trial; -1 for the range test.")
    ] = None,
    state: Annotated[RunState | None, Query(description="Only runs in this state.")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Runs per page.")] = 200,
) -> RunPage:
    """Every run of the job, in the order in which they were planned."""
    page = store.runs.list(job.id, trial=trial, state=state, cursor=cursor, limit=limit)
    return RunPage(items=tuple(map(RunView.of, page.items)), next_cursor=page.next_cursor)
