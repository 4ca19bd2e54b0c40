"""A schedule as the body of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from tuner.exports import EXPORTERS, ExportFormat, TargetRun, export
from tuner.schedules import Cosine, Schedule

_CHUNK_LINES = 5_000
_EXAMPLE = Schedule(peak_lr=0.001, family=Cosine())


def _example(format: ExportFormat, *, total_steps: int) -> str:
    return "".join(export(_EXAMPLE, format=format, run=TargetRun(total_steps=total_steps)).chunks)


WRITTEN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The schedule. As CSV: a line `update,lr`, then one line per update, its rate with as many "
        "digits as it takes to read the same double back. As code: Python for the training script, which says in its "
        "comments what it is for, how to use it, and whether the library's own schedules could express it.",
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Schedule"},
                "example": _EXAMPLE.model_dump(mode="json", exclude_none=True),
            },
            "text/csv": {"schema": {"type": "string"}, "example": _example(ExportFormat.CSV, total_steps=4)},
            "text/x-python": {"schema": {"type": "string"}, "example": _example(ExportFormat.TORCH, total_steps=500)},
        },
    }
}
"""What an operation that answers with `written` gives as ``responses=``."""


def written(schedule: Schedule, *, run: TargetRun, format: ExportFormat, name: str) -> Response:
    """The answer that carries a schedule as a file.

    Args:
        schedule: The schedule.
        run: The run that it is written for.
        format: How it is written.
        name: Of the file, without its ending.

    Raises:
        InvalidValue: The schedule does not fit into so few updates.
    """
    exporter = EXPORTERS[format]
    chunks = exporter.write(schedule, run).chunks
    headers = {"Content-Disposition": f'attachment; filename="{name}.{exporter.extension}"'}
    if format is ExportFormat.CSV:
        return StreamingResponse(_in_chunks(iter(chunks)), media_type=exporter.media_type, headers=headers)
    return Response("".join(chunks), media_type=exporter.media_type, headers=headers)


def _in_chunks(lines: Iterator[str]) -> Iterator[str]:
    """Lines joined into larger pieces: each piece of a stream costs a switch of threads."""
    while chunk := "".join(islice(lines, _CHUNK_LINES)):
        yield chunk
