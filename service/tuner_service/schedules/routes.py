"""``/v1/schedules``: preview, export and convert schedules without a job."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Response

from tuner.api.families import FamilyView, FormatView
from tuner.api.schedules import (
    CompressRequest,
    ExportRequest,
    ImportRequest,
    Preview,
    PreviewPoint,
    PreviewRequest,
    ScaleRequest,
)
from tuner.exports import EXPORTERS, TargetRun
from tuner.importers import import_text
from tuner.schedules import FAMILIES, Schedule
from tuner.schedules.scaling import ScaledSchedule, scaled_to_batch
from tuner_service.json_body import StrictRoute, strict_body
from tuner_service.limits.expensive import EXPENSIVE
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import ResourcesDep
from tuner_service.schedules.exporting import EXPORT_CONTENT, export_response

router = APIRouter(prefix="/schedules", tags=["schedules"], route_class=StrictRoute)

_families = lru_cache(maxsize=1)(lambda: tuple(map(FamilyView.of, FAMILIES)))
_PROBLEMS = problem_responses(catalog.BODY_TOO_LARGE, catalog.NOT_JSON)


@router.post("/preview", summary="Preview a schedule", responses=_PROBLEMS)
def preview_schedule(request: Annotated[PreviewRequest, strict_body(PreviewRequest)]) -> Preview:
    """The learning rate at evenly spaced updates, a label of the schedule, and its digest. Nothing is stored."""
    schedule, steps = request.schedule, request.total_steps
    updates = np.unique(np.linspace(0, steps - 1, num=request.points).round().astype(np.int64))
    losses = tuple((one.step, one.loss) for one in request.losses)
    lrs = schedule.lrs_at(updates, total_steps=steps, losses=losses)
    return Preview(
        label=schedule.label,
        digest=schedule.digest,
        total_steps=steps,
        points=tuple(map(_point, updates.tolist(), lrs.tolist())),
    )


def _point(update: int, lr: float) -> PreviewPoint:
    return PreviewPoint(update=update, lr=lr)


@router.post(
    "/export",
    summary="Export a schedule",
    response_class=Response,
    dependencies=[EXPENSIVE],
    responses=_PROBLEMS | EXPORT_CONTENT,
)
def export_schedule(request: Annotated[ExportRequest, strict_body(ExportRequest)], resources: ResourcesDep) -> Response:
    """A schedule as a file: its specification, its rate at every update, or code for a training library."""
    name = f"schedule-{request.schedule.digest[:8]}-{request.total_steps}"
    run = TargetRun(total_steps=request.total_steps, batch_size=request.batch_size, optimizer=request.optimizer)
    threads = resources.stream_threads
    return export_response(request.schedule, run=run, format=request.format, name=name, threads=threads)


@router.post("/import", summary="Import a schedule", dependencies=[EXPENSIVE], responses=_PROBLEMS)
def import_from_text(request: Annotated[ImportRequest, strict_body(ImportRequest)]) -> Schedule:
    """The schedule that a script uses today, from the text of its settings: equal to the script's at every update.

    What cannot be written exactly is refused with the reason.
    """
    return import_text(**dict(request))


@router.get("/families", summary="List the families of schedules")
async def list_families() -> tuple[FamilyView, ...]:
    """Every family with its parameters, their bounds and defaults, and a picture of its shape."""
    return _families()


@router.get("/formats", summary="List the formats of an export")
async def list_formats() -> tuple[FormatView, ...]:
    """Every format that a schedule can be exported to, and what its library expresses in its own terms."""
    return tuple(map(FormatView.of, EXPORTERS))


@router.post("/compress", summary="Fit a schedule to another length", responses=_PROBLEMS)
def compress_schedule(request: Annotated[CompressRequest, strict_body(CompressRequest)]) -> Schedule:
    """The same schedule for a shorter or a longer run: the same rate at the same progress.

    The peak, the floor and all fractions stay; lengths in updates scale with the run, and the warm-up keeps its
    minimum number of updates.
    """
    return request.schedule.compressed(request.to_steps, from_steps=request.from_steps, min_warmup=request.min_warmup)


@router.post("/scale", summary="Scale a schedule to another batch size", responses=_PROBLEMS)
def scale_schedule(request: Annotated[ScaleRequest, strict_body(ScaleRequest)]) -> ScaledSchedule:
    """The same schedule with the peak of the linear or the square root rule, and the rule's caveats.

    A rule gives a starting point: read the caveats, and tune again around the new peak.
    """
    return scaled_to_batch(
        request.schedule,
        rule=request.rule,
        from_batch=request.from_batch,
        to_batch=request.to_batch,
        optimizer=request.optimizer,
    )
