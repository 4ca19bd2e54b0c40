"""``/v1/jobs/{job_id}/report`` and ``/export``: the results of a job."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from tuner.api.schedules import FORMATS
from tuner.api.standing import Standing
from tuner.exports import ExportFormat
from tuner.jobs.export_context import export_context
from tuner.jobs.records import JobRecord
from tuner.jobs.states import is_terminal
from tuner.report.pages.formats import ReportFormat
from tuner.report.range_test import RangeTestFormat
from tuner.report.report import Report
from tuner.schedules.lengths import MAX_STEPS
from tuner.search.range_test.result import RangeTest
from tuner.store import Store
from tuner_service.access import VisibleJob
from tuner_service.errors import ReportNotReady
from tuner_service.jobs.report_pages import PAGE_CONTENT, RANGE_TEST_CONTENT, range_test_page, report_page
from tuner_service.limits.expensive import EXPENSIVE
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import ResourcesDep, StoreDep
from tuner_service.schedules.exporting import EXPORT_CONTENT, export_response

router = APIRouter(prefix="/jobs", tags=["jobs"])

_DRAWN = 2
"""Points that a picture of a range test needs at least."""
_PROBLEMS = problem_responses(catalog.NOT_FOUND, catalog.REPORT_NOT_READY)


@router.get(
    "/{job_id}/report",
    summary="Get a job's report",
    response_model=Report,
    dependencies=[EXPENSIVE],
    responses=_PROBLEMS | PAGE_CONTENT,
)
def get_report(
    job: VisibleJob,
    store: StoreDep,
    format: Annotated[
        ReportFormat,
        Query(description="`json`: the values; `markdown`: a text page; `html`: one page with plots, for people."),
    ] = ReportFormat.JSON,
) -> Report | Response:
    """The best schedule, its gain with a confidence interval, and the cost of the search. For completed jobs."""
    report = _report(job, store=store)
    return report if format is ReportFormat.JSON else report_page(report, format=format)


@router.get(
    "/{job_id}/standing",
    summary="Get a report on a job so far",
    dependencies=[EXPENSIVE],
    responses=problem_responses(catalog.NOT_FOUND),
)
async def get_standing(job: VisibleJob, resources: ResourcesDep) -> Standing:
    """What the report would say if the search ended now, for jobs in every state: also paused, cancelled, failed ones.

    Of a completed job it is the report.
    """
    return await resources.standings.of(job)


@router.get(
    "/{job_id}/range-test",
    summary="Get the result of a job's LR range test",
    response_model=RangeTest,
    dependencies=[EXPENSIVE],
    responses=_PROBLEMS | RANGE_TEST_CONTENT,
)
def get_range_test(
    job: VisibleJob,
    store: StoreDep,
    format: Annotated[
        RangeTestFormat,
        Query(description="`json`: the values; `svg`, `png`: a picture; `html`: one page, for people."),
    ] = RangeTestFormat.JSON,
) -> RangeTest | Response:
    """The loss by rate, raw and smoothed, and three readings, of the runs so far. A bound, and no recommendation."""
    from tuner.jobs.study_state import range_test_of  # loads scipy

    test = range_test_of(store.planning.load(job.id))
    if test is None or (len(test.points) < _DRAWN and format is not RangeTestFormat.JSON):
        raise ReportNotReady(job.id, state=job.state.value, hint=_missing_range_test(job))
    if format is RangeTestFormat.JSON:
        return test
    return range_test_page(test, format=format)


@router.get(
    "/{job_id}/export",
    summary="Export a job's schedule",
    response_class=Response,
    dependencies=[EXPENSIVE],
    responses=_PROBLEMS | EXPORT_CONTENT,
)
def export_job(
    job: VisibleJob,
    resources: ResourcesDep,
    format: Annotated[
        ExportFormat,
        Query(description=FORMATS),
    ] = ExportFormat.JSON,
    trial: Annotated[
        int | None,
        Query(ge=0, lt=2**31, description="Number of the trial; the one that the report recommends when absent."),
    ] = None,
    total_steps: Annotated[
        int | None,
        Query(ge=10, le=MAX_STEPS, description="Scale it to a run of this many updates; the job's horizon if absent."),
    ] = None,
) -> Response:
    """A schedule to train with: the recommended one or any trial's, scaled to any length of run."""
    store, threads = resources.store, resources.stream_threads
    if trial is None:
        recommended = _report(job, store=store).recommended
        schedule, options = recommended.schedule, recommended.options
    else:
        chosen = store.trials.get(job.id, number=trial)
        schedule, options = chosen.schedule, chosen.options
    run = export_context(job.spec, options=options, metric=job.metric, total_steps=total_steps)
    if run.fitted_from is not None:
        schedule = schedule.compressed(run.total_steps, from_steps=run.fitted_from)
    name = f"schedule-{job.id[:8]}-{run.total_steps}"
    return export_response(schedule, run=run, format=format, name=name, threads=threads)


def _missing_range_test(job: JobRecord) -> str:
    if job.spec.search.range_test is None:
        return 'The job has no range test: submit one with {"search": {"range_test": {}}}'
    return "Its runs have no curve yet" if not is_terminal(job.state) else "None of its runs has a curve"


def _report(job: JobRecord, *, store: Store) -> Report:
    stored = store.jobs.report(job.id)
    if stored is None:
        raise ReportNotReady(job.id, state=job.state.value, hint=_alternative(job))
    return Report.model_validate(stored)


def _alternative(job: JobRecord) -> str:
    """What to do while there is no report, or when there will be none."""
    test = job.spec.search.range_test
    if test is not None and test.alone:
        return f"It is an LR range test, which recommends nothing: GET /v1/jobs/{job.id}/range-test is its result"
    ended, best = is_terminal(job.state), job.best
    hints = [] if ended else [f"GET /v1/jobs/{job.id}/events reports when it completes"]
    if best is not None:
        exported = f"GET /v1/jobs/{job.id}/export?trial={best.trial}"
        hints.append(f"GET /v1/jobs/{job.id}/standing is the report so far")
        hints.append(f"Recommended so far is trial {best.trial}: {exported} exports it")
    elif ended:
        hints.append(f"None of its runs has succeeded; GET /v1/jobs/{job.id}/runs lists the reasons")
    return ". ".join(hints)
