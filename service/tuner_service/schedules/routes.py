"""``/v1/schedules``: look at a schedule before training with it, write it down, fit it to another run."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body, Response

from tuner.exports import TargetRun
from tuner.schedules import Schedule
from tuner.schedules.scaling import ScaledSchedule, scaled_to_batch
from tuner_service.examples import answer
from tuner_service.json_body import strictly
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.schedules import schemas
from tuner_service.schedules.export_stream import WRITTEN, written
from tuner_service.schedules.schemas import (
    CompressRequest,
    ExportRequest,
    Preview,
    PreviewPoint,
    PreviewRequest,
    ScaleRequest,
)

router = APIRouter(prefix="/schedules", tags=["schedules"])

_PROBLEMS = declared(catalog.BODY_TOO_LARGE, catalog.NOT_JSON)


def _preview(request: PreviewRequest) -> Preview:
    schedule, steps = request.schedule, request.total_steps
    updates = np.unique(np.linspace(0, steps - 1, num=request.points).round().astype(int)).tolist()
    return Preview(
        label=schedule.label,
        digest=schedule.digest,
        total_steps=steps,
        points=tuple(PreviewPoint(update=update, lr=schedule.lr(update, total_steps=steps)) for update in updates),
    )


def _compressed(request: CompressRequest) -> Schedule:
    return request.schedule.compressed(request.to_steps, from_steps=request.from_steps, min_warmup=request.min_warmup)


def _scaled(request: ScaleRequest) -> ScaledSchedule:
    return scaled_to_batch(
        request.schedule,
        rule=request.rule,
        from_batch=request.from_batch,
        to_batch=request.to_batch,
        optimizer=request.optimizer,
    )


_PREVIEWED = _preview(PreviewRequest(**schemas.PREVIEW_EXAMPLES["cosine"]["value"] | {"points": 3}))
_SHORTER = _compressed(CompressRequest(**schemas.COMPRESS_EXAMPLES["shorter"]["value"]))
_LARGER = _scaled(ScaleRequest(**schemas.SCALE_EXAMPLES["adam"]["value"]))


@router.post("/preview", summary="Preview a schedule", responses=_PROBLEMS | answer(_PREVIEWED))
def preview_schedule(
    request: Annotated[PreviewRequest, strictly(PreviewRequest), Body(openapi_examples=schemas.PREVIEW_EXAMPLES)],
) -> Preview:
    """The learning rate at evenly spread updates, the schedule in words, and its digest. Nothing is stored."""
    return _preview(request)


@router.post("/export", summary="Write a schedule", response_class=Response, responses=_PROBLEMS | WRITTEN)
def export_schedule(
    request: Annotated[ExportRequest, strictly(ExportRequest), Body(openapi_examples=schemas.EXPORT_EXAMPLES)],
) -> Response:
    """A schedule as a file: its specification, its rate at every update, or code for a library to train with it."""
    name = f"schedule-{request.schedule.digest[:8]}-{request.total_steps}"
    run = TargetRun(total_steps=request.total_steps, batch_size=request.batch_size, optimizer=request.optimizer)
    return written(request.schedule, run=run, format=request.format, name=name)


@router.post("/compress", summary="Fit a schedule to another length", responses=_PROBLEMS | answer(_SHORTER))
def compress_schedule(
    request: Annotated[CompressRequest, strictly(CompressRequest), Body(openapi_examples=schemas.COMPRESS_EXAMPLES)],
) -> Schedule:
    """The same schedule for a shorter or a longer run: the same rate at the same progress.

    The peak, the floor and all fractions stay; lengths in updates scale with the run, and the warm-up keeps its least
    number of updates.
    """
    return _compressed(request)


@router.post("/scale", summary="Scale a schedule to another batch size", responses=_PROBLEMS | answer(_LARGER))
def scale_schedule(
    request: Annotated[ScaleRequest, strictly(ScaleRequest), Body(openapi_examples=schemas.SCALE_EXAMPLES)],
) -> ScaledSchedule:
    """The same schedule with the peak that the linear or the square root rule gives, and what to mind about it.

    A rule is where to begin, not where to stop: read the caveats, and tune again around the new peak.
    """
    return _scaled(request)
