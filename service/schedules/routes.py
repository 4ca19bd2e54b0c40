"""``/v1/schedules``: look at a schedule before training with it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body

from service.bodies import strictly
from service.problems import catalog
from service.problems.rendering import declared
from service.schedules.schemas import PREVIEW_EXAMPLES, Preview, PreviewPoint, PreviewRequest

router = APIRouter(prefix="/schedules", tags=["schedules"])


@router.post(
    "/preview",
    summary="Preview a schedule",
    responses=declared(catalog.INVALID_REQUEST, catalog.BODY_TOO_LARGE, catalog.NOT_JSON),
)
def preview_schedule(
    request: Annotated[PreviewRequest, strictly(PreviewRequest), Body(openapi_examples=PREVIEW_EXAMPLES)],
) -> Preview:
    """The learning rate at evenly spread updates, the schedule in words, and its digest. Nothing is stored."""
    schedule, steps = request.schedule, request.total_steps
    updates = np.unique(np.linspace(0, steps - 1, num=request.points).round().astype(int)).tolist()
    return Preview(
        label=schedule.label,
        digest=schedule.digest,
        total_steps=steps,
        points=tuple(PreviewPoint(update=update, lr=schedule.lr(update, total_steps=steps)) for update in updates),
    )
