"""A schedule as the body of a response."""

from __future__ import annotations

from typing import Any, Final

from anyio import CapacityLimiter
from fastapi import Response
from fastapi.responses import StreamingResponse

from tuner.exports import EXPORTERS, ExportFormat, TargetRun
from tuner.schedules import Schedule
from tuner_service.limits.expensive import streamed

EXPORT_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The schedule. As CSV: a line `update,lr`, then one line per update, its rate with as many "
        "digits as a reader needs to restore the same double. As code: Python for the training script, whose comments "
        "state its purpose, its use, and whether the library's own schedules could express it.",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Schedule"}},
            "text/csv": {"schema": {"type": "string"}},
            "text/x-python": {"schema": {"type": "string"}},
        },
    }
}
"""The ``responses=`` of an operation that returns an `export_response`."""


def export_response(
    schedule: Schedule, *, run: TargetRun, format: ExportFormat, name: str, threads: CapacityLimiter
) -> Response:
    """The response that carries a schedule as a file.

    Args:
        schedule: The schedule.
        run: The run that it is exported for.
        format: The file's format.
        name: The file's name, without its ending.
        threads: Limit of the threads that compute streamed responses.

    Raises:
        InvalidValue: The schedule does not fit into so few updates.
    """
    exporter = EXPORTERS[format]
    chunks = exporter.write(schedule, run).chunks
    headers = {"Content-Disposition": f'attachment; filename="{name}.{exporter.extension}"'}
    if format is ExportFormat.CSV:
        return StreamingResponse(streamed(chunks, threads=threads), media_type=exporter.media_type, headers=headers)
    return Response("".join(chunks), media_type=exporter.media_type, headers=headers)
