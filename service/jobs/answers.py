"""``/v1/jobs/{job_id}/report`` and ``/export``: what a job has found."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from service.errors import ReportNotReady
from service.problems import catalog
from service.problems.rendering import declared
from service.resources import ExistingJob, StoreDep
from service.schedules.schemas import MAX_STEPS
from tuner.errors import NotFound
from tuner.jobs.progress import progress
from tuner.jobs.records import JobRecord
from tuner.jobs.states import is_over
from tuner.report.exports import schedule_csv, schedule_json
from tuner.report.report import Report
from tuner.schedules import Schedule
from tuner.store import Store

router = APIRouter(prefix="/jobs", tags=["jobs"])

_CHUNK_LINES = 5_000
_PROBLEMS = declared(catalog.NOT_FOUND, catalog.REPORT_NOT_READY, catalog.INVALID_REQUEST)


class ExportFormat(StrEnum):
    """How a schedule is written."""

    JSON = "json"
    """Its specification, as `tuner.Schedule.from_json` reads it."""
    CSV = "csv"
    """Its learning rate at every update."""


@router.get("/{job_id}/report", summary="Read a job's answer", responses=_PROBLEMS)
def read_report(job: ExistingJob, store: StoreDep) -> Report:
    """The best schedule, how much it gains, how sure that is, and what finding it took. For completed jobs."""
    return _report(job, store=store)


@router.get(
    "/{job_id}/export",
    summary="Export a schedule",
    response_class=Response,
    responses=_PROBLEMS
    | {
        200: {
            "description": "The schedule. As CSV: a line `update,lr`, then one line per update, its rate with as "
            "many digits as it takes to read the same double back.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Schedule"}},
                "text/csv": {"schema": {"type": "string"}},
            },
        }
    },
)
def export_schedule(
    job: ExistingJob,
    store: StoreDep,
    format: Annotated[ExportFormat, Query(description="`json`: the specification; `csv`: every update.")] = (
        ExportFormat.JSON
    ),
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
    horizon = job.spec.search.total_steps
    schedule = (
        _report(job, store=store).recommended.schedule if trial is None else _trial(job, number=trial, store=store)
    )
    steps = horizon if total_steps is None else total_steps
    if steps != horizon:
        schedule = schedule.compressed(steps, from_steps=horizon)
    name = f"schedule-{job.id[:8]}-{steps}.{format.value}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if format is ExportFormat.JSON:
        return Response(schedule_json(schedule), media_type="application/json", headers=headers)
    schedule.lr(0, total_steps=steps)  # refuses a length that it does not fit into, while there is an answer to refuse
    lines = schedule_csv(schedule, total_steps=steps)
    return StreamingResponse(_in_chunks(lines), media_type="text/csv", headers=headers)


def _in_chunks(lines: Iterator[str]) -> Iterator[str]:
    """Lines joined into larger pieces: each piece of a stream costs a switch of threads."""
    while chunk := "".join(islice(lines, _CHUNK_LINES)):
        yield chunk


def _report(job: JobRecord, *, store: Store) -> Report:
    stored = store.jobs.report(job.id)
    if stored is None:
        raise ReportNotReady(job.id, state=job.state.value, hint=_instead(job, store=store))
    return Report.model_validate(stored)


def _instead(job: JobRecord, *, store: Store) -> str:
    """What to do while there is no report, or because there never will be."""
    best = progress(job, trials=store.jobs.trials(job.id), runs=store.jobs.runs(job.id)).best
    wait = "" if is_over(job.state) else f"Watch /v1/jobs/{job.id}/events until it completes. "
    if best is None:
        return wait or f"No run of it has succeeded; /v1/jobs/{job.id}/runs tells why."
    return f"{wait}The best so far is trial {best.trial}: /v1/jobs/{job.id}/export?trial={best.trial} exports it."


def _trial(job: JobRecord, *, number: int, store: Store) -> Schedule:
    trials = store.jobs.trials(job.id)
    for trial in trials:
        if trial.number == number:
            return trial.schedule
    hint = f"Job {job.id} has trials 0 to {len(trials) - 1}" if trials else f"Job {job.id} has no trials yet"
    raise NotFound("trial", key=str(number), hint=hint)
