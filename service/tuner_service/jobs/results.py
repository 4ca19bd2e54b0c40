"""``/v1/jobs/{job_id}/report`` and ``/export``: what a job has found."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from tuner.exports import ExportFormat
from tuner.jobs.export_context import export_context
from tuner.jobs.records import JobRecord
from tuner.jobs.states import is_terminal
from tuner.report.pages.formats import ReportFormat
from tuner.report.report import Report
from tuner.store import Store
from tuner_service.access import VisibleJob
from tuner_service.errors import ReportNotReady
from tuner_service.examples import answer
from tuner_service.jobs.example_report import REPORT
from tuner_service.jobs.report_pages import PAGES, page
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import StoreDep
from tuner_service.schedules.export_stream import WRITTEN, written
from tuner_service.schedules.schemas import FORMATS, MAX_STEPS

router = APIRouter(prefix="/jobs", tags=["jobs"])

_PROBLEMS = declared(catalog.NOT_FOUND, catalog.REPORT_NOT_READY)


@router.get(
    "/{job_id}/report",
    summary="Read a job's answer",
    response_model=Report,
    responses=_PROBLEMS | answer(REPORT, also=PAGES),
)
def read_report(
    job: VisibleJob,
    store: StoreDep,
    format: Annotated[
        ReportFormat,
        Query(
            description="`json`: the values; `markdown`: a page of text; `html`: one page with pictures, for people."
        ),
    ] = ReportFormat.JSON,
) -> Report | Response:
    """The best schedule, how much it gains, how sure that is, and what finding it took. For completed jobs."""
    report = _report(job, store=store)
    return report if format is ReportFormat.JSON else page(report, format=format)


@router.get("/{job_id}/export", summary="Export a schedule", response_class=Response, responses=_PROBLEMS | WRITTEN)
def export_schedule(
    job: VisibleJob,
    store: StoreDep,
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
        Query(ge=10, le=MAX_STEPS, description="Scale it to a run of so many updates; the job's horizon when absent."),
    ] = None,
) -> Response:
    """A schedule to train with: the one that the report recommends, or any trial's, scaled to any length of run."""
    if trial is None:
        recommended = _report(job, store=store).recommended
        schedule, options = recommended.schedule, recommended.options
    else:
        chosen = store.trials.get(job.id, number=trial)
        schedule, options = chosen.schedule, chosen.options
    run = export_context(job.spec, options=options, total_steps=total_steps)
    if run.fitted_from is not None:
        schedule = schedule.compressed(run.total_steps, from_steps=run.fitted_from)
    return written(schedule, run=run, format=format, name=f"schedule-{job.id[:8]}-{run.total_steps}")


def _report(job: JobRecord, *, store: Store) -> Report:
    stored = store.jobs.report(job.id)
    if stored is None:
        raise ReportNotReady(job.id, state=job.state.value, hint=_instead(job, store=store))
    return Report.model_validate(stored)


def _instead(job: JobRecord, *, store: Store) -> str:
    """What to do while there is no report, or because there never will be."""
    best = store.jobs.detail(job.id).progress.best
    wait = "" if is_terminal(job.state) else f"GET /v1/jobs/{job.id}/events tells when it completes. "
    if best is None:
        return wait or f"No run of it has succeeded; GET /v1/jobs/{job.id}/runs tells why."
    return f"{wait}The best so far is trial {best.trial}: GET /v1/jobs/{job.id}/export?trial={best.trial} exports it."
