"""A schedule as the body of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from service.schedules.schemas import ExportFormat
from tuner.report.exports import paste_in_code, schedule_csv, schedule_json
from tuner.schedules import Cosine, Schedule

_CHUNK_LINES = 5_000
_ENDINGS = {ExportFormat.JSON: "json", ExportFormat.CSV: "csv", ExportFormat.TORCH: "py"}
_EXAMPLE = Schedule(peak_lr=0.001, family=Cosine())

WRITTEN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The schedule. As CSV: a line `update,lr`, then one line per update, its rate with as many "
        "digits as it takes to read the same double back. For PyTorch: Python to paste into a training script.",
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Schedule"},
                "example": _EXAMPLE.model_dump(mode="json", exclude_none=True),
            },
            "text/csv": {"schema": {"type": "string"}, "example": "".join(schedule_csv(_EXAMPLE, total_steps=4))},
            "text/x-python": {"schema": {"type": "string"}, "example": paste_in_code(_EXAMPLE, total_steps=500)},
        },
    }
}
"""What an operation that answers with `written` gives as ``responses=``."""


def written(schedule: Schedule, *, total_steps: int, format: ExportFormat, name: str) -> Response:
    """The answer that carries a schedule as a file.

    Args:
        schedule: The schedule.
        total_steps: Updates of the run that it is written for.
        format: How it is written.
        name: Of the file, without its ending.

    Raises:
        InvalidValue: The schedule does not fit into so few updates.
    """
    schedule.lr(0, total_steps=total_steps)  # refuses it while there is an answer to refuse
    headers = {"Content-Disposition": f'attachment; filename="{name}.{_ENDINGS[format]}"'}
    match format:
        case ExportFormat.JSON:
            return Response(schedule_json(schedule), media_type="application/json", headers=headers)
        case ExportFormat.TORCH:
            code = paste_in_code(schedule, total_steps=total_steps)
            return Response(code, media_type="text/x-python", headers=headers)
        case ExportFormat.CSV:
            lines = schedule_csv(schedule, total_steps=total_steps)
            return StreamingResponse(_in_chunks(lines), media_type="text/csv", headers=headers)


def _in_chunks(lines: Iterator[str]) -> Iterator[str]:
    """Lines joined into larger pieces: each piece of a stream costs a switch of threads."""
    while chunk := "".join(islice(lines, _CHUNK_LINES)):
        yield chunk
