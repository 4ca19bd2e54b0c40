"""Resolves ids from their start: of jobs (or ``latest``), runs, webhooks and tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from tuner.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from tuner.client import Client

LATEST: Final = "latest"
_JOBS_LISTED: Final = "`tuner jobs` lists them"
_FULL_LENGTH = 36
_SHORTEST = 4
_SHOWN = 5


def find_job(client: Client, *, text: str) -> str:
    """The id of a job.

    Args:
        client: The client of the service.
        text: A whole id, the start of one, or ``"latest"`` for the job submitted last.

    Raises:
        NotFound: No id starts with the text, or there is no job at all.
        InvalidValue: The text is too short, or several ids start with it.
    """
    if text == LATEST:
        for job in client.jobs():
            return job.id
        raise NotFound("job", key=text, hint="No job has been submitted yet; `tuner submit` submits one")
    return _resolved(
        text,
        kind="job",
        candidates=lambda start: (job.id for job in client.jobs(text=start)),
        listed=f"`tuner jobs` lists them; `tuner jobs --text {text}` finds one by its name" if text else _JOBS_LISTED,
        or_else=f", or {LATEST}",
    )


def find_run(client: Client, *, text: str) -> str:
    """The id of a run, from its start or whole; raises like `find_job`."""
    listed = f"`tuner runs {LATEST if text == LATEST else 'JOB'}` lists those of a job"
    try:
        return _resolved(
            text, kind="run", candidates=lambda start: (run.id for run in client.find_runs(start)), listed=listed
        )
    except NotFound:
        job = next((job.id for job in client.jobs(text=text) if job.id.startswith(text.lower())), None)
        if job is None:
            raise
        raise NotFound("run", key=text, hint=f"A job is: `tuner runs {job[:8]}` lists its runs") from None


def find_webhook(client: Client, *, text: str) -> str:
    """The id of a webhook, from its start or whole; raises like `find_job`."""
    return _resolved(
        text,
        kind="webhook",
        candidates=lambda _: (webhook.id for webhook in client.webhooks.list()),
        listed="`tuner webhook list` lists yours",
    )


def find_token(client: Client, *, text: str) -> str:
    """The id of a token, from its start or whole; raises like `find_job`."""
    return _resolved(
        text,
        kind="token",
        candidates=lambda _: (token.id for token in client.people.tokens()),
        listed="`tuner admin token list` lists yours",
    )


def check_whole(text: str, *, found: str, kind: str) -> None:
    """Check that an action that asks nobody and cannot be undone names its object by the whole id.

    Args:
        text: What the command line names.
        found: The id that it stands for.
        kind: The word for the object.

    Raises:
        InvalidValue: It is the start of an id, or ``latest``.
    """
    if text != found:
        raise InvalidValue(kind.upper(), value=text, allowed="the whole id with --yes", hint=f"It stands for {found}")


def _resolved(
    text: str, *, kind: str, candidates: Callable[[str], Iterable[str]], listed: str, or_else: str = ""
) -> str:
    if len(text) == _FULL_LENGTH:
        return text
    start = text.lower()
    if len(start) < _SHORTEST or not set(start) <= {*"0123456789abcdef-"}:
        allowed = f"an id, or at least its first {_SHORTEST} characters{or_else}"
        raise InvalidValue(kind.upper(), value=text, allowed=allowed, hint=listed)
    found = [one for one in candidates(start) if one.startswith(start)]
    if not found:
        raise NotFound(kind, key=text, hint=listed)
    if len(found) > 1:
        matches = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        raise InvalidValue(
            kind.upper(), value=text, allowed=f"the start of one {kind}'s id", hint=f"It matches {matches}"
        )
    return found[0]
