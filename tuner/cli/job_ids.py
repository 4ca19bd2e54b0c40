"""Resolves a job's id from the start of it, or from ``latest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from tuner.client import Client

LATEST = "latest"
_FULL_LENGTH = 36
_SHOWN = 5


def find_job(client: Client, *, text: str) -> str:
    """The id of a job.

    Args:
        client: The client of the service.
        text: A whole id, the start of one, or ``"latest"`` for the job submitted last.

    Raises:
        NotFound: No id starts with the text, or there is no job at all.
        InvalidValue: Several ids start with it.
    """
    if len(text) == _FULL_LENGTH:
        return text
    if text == LATEST:
        for job in client.jobs():
            return job.id
        raise NotFound("job", key=text, hint="No job has been submitted yet; `tuner submit` submits one")
    found = [job.id for job in client.jobs(text=text or None) if job.id.startswith(text.lower())]
    if not found:
        raise NotFound("job", key=text, hint="`tuner jobs` lists them")
    if len(found) > 1:
        shown = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        raise InvalidValue("JOB", value=text, allowed="the start of one job's id", hint=f"It matches {shown}")
    return found[0]
