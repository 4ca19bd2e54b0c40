"""``/v1/events`` and ``/v1/jobs/{job_id}/events``: what happens, as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import structlog
from fastapi import APIRouter, Depends, Header
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from tuner.errors import DatabaseUnavailable, NotFound
from tuner.jobs.records import EventRecord
from tuner.jobs.states import JobState, is_terminal
from tuner.people.permissions import Principal
from tuner.store import Store
from tuner_service.access import PrincipalDep, VisibleJob
from tuner_service.examples import EVENT, in_words
from tuner_service.problems import catalog
from tuner_service.problems.rendering import declared
from tuner_service.resources import Resources, ResourcesDep, StoreDep

router = APIRouter(tags=["events"])

END = "end"
"""Kind of the message that says that nothing more will come. It has no id: it is not an event of the job."""
_BATCH = 200
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"example": in_words(EVENT)}}}}

log = structlog.get_logger(__name__)

LastEventId = Annotated[
    int | None,
    Header(ge=0, lt=2**63, description="The last event already seen: the stream goes on after it.", examples=[42]),
]


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What there is to tell just now."""

    events: tuple[EventRecord, ...]
    end: JobState | None = None
    """The state that the job has ended in, when nothing will follow these events."""
    through: int = 0
    """Nothing else is to be told of the events up to this one."""


async def one_stream(asking: PrincipalDep, resources: ResourcesDep) -> AsyncIterator[None]:
    """A dependency that counts a stream for as long as it is open: each asks the database several times a second.

    Raises:
        TooManyRequests: Whoever asks has too many open.
    """
    with resources.guard.streams.one(asking.token_id or asking.user):
        yield


_COUNTED = [Depends(one_stream)]


@router.get(
    "/jobs/{job_id}/events",
    summary="Watch a job",
    response_class=EventSourceResponse,
    dependencies=_COUNTED,
    responses=declared(catalog.NOT_FOUND) | _STREAM,
)
async def watch_job(
    job: VisibleJob, asking: PrincipalDep, resources: ResourcesDep, last_event_id: LastEventId = None
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events from the first, or from after `Last-Event-ID`, to the job's end.

    Each event's name is its kind (`run.succeeded`, `trial.pruned`, `job.completed`, ...), its data the event as JSON.
    After the last one comes `end` with the job's final state. A stream that closes without `end` was cut (the service
    restarts, or you may not see the job any more): connect again with the last id seen, and nothing is lost or
    repeated.
    """

    def look(after: int) -> _Look:
        return _of_job(resources.store, job_id=job.id, asking=asking, after=after)

    async for message in _told(look, resources=resources, after=last_event_id or 0):
        yield message


def _start(store: StoreDep, last_event_id: LastEventId = None) -> int:
    """Where a stream over all jobs begins."""
    return store.events.latest() if last_event_id is None else last_event_id


@router.get(
    "/events",
    summary="Watch all jobs",
    response_class=EventSourceResponse,
    dependencies=_COUNTED,
    responses=_STREAM,
)
async def watch_all(
    asking: PrincipalDep, resources: ResourcesDep, start: Annotated[int, Depends(_start)]
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events of every job that you may see, from now on, or from after `Last-Event-ID`. It has no end.

    Each event's name is its kind, its data the event as JSON; `job_id` tells whose it is. A stream that closes was cut:
    connect again with the last id seen. Events are kept for a month, as a rule.
    """

    def look(after: int) -> _Look:
        return _of_all(resources.store, asking=asking, after=after)

    async for message in _told(look, resources=resources, after=start):
        yield message


async def _told(look: Callable[[int], _Look], *, resources: Resources, after: int) -> AsyncIterator[ServerSentEvent]:
    """Tell what is new, again and again, until there is an end, or the service stops."""
    seen = after
    while not resources.closing.is_set():
        try:
            found = await run_in_threadpool(look, seen)
        except DatabaseUnavailable as outage:
            log.warning("events.waiting", reason=str(outage))
            found = _Look(events=())
        except NotFound:  # deleted, or hidden from whoever reads: there is nothing more to say
            return
        for event in found.events:
            yield ServerSentEvent(event=event.kind, id=str(event.id), data=event)
            seen = event.id
        seen = max(seen, found.through)
        if not found.events:
            if found.end is not None:
                yield ServerSentEvent(event=END, data={"state": found.end})
                return
            await anyio.sleep(resources.settings.event_poll_interval.total_seconds())


def _of_job(store: Store, *, job_id: str, asking: Principal, after: int) -> _Look:
    """The job's state, then what is new. In this order: no event can follow those of a job that had ended before.

    Raises:
        NotFound: There is no such job any more, or none that whoever asks may see.
    """
    job = store.jobs.get(job_id)
    if not asking.visibility.covers(job):
        raise NotFound("job", key=job_id)
    events = store.events.after(after, job_id=job_id, limit=_BATCH)
    return _Look(events=events, end=job.state if is_terminal(job.state) else None)


def _of_all(store: Store, *, asking: Principal, after: int) -> _Look:
    """What is new of the jobs that may be seen, and how far everything has been looked through.

    Without the latter a team to which nothing happens would have all that happens to the others read again and again.
    """
    latest = store.events.latest()  # first: events become visible in the order of their ids
    if latest <= after:
        return _Look(events=())
    events = store.events.after(after, visibility=asking.visibility, limit=_BATCH)
    return _Look(events=events, through=latest if len(events) < _BATCH else 0)
