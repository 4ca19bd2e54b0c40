"""``/v1/events`` and ``/v1/jobs/{job_id}/events``: streams of events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Header
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from tuner.errors import DatabaseUnavailable, NotFound
from tuner.jobs.records import EventRecord
from tuner.jobs.states import JobState, is_terminal
from tuner.people.permissions import Principal
from tuner.store import Store
from tuner_service.access import PrincipalDep, VisibleJob
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_responses
from tuner_service.resources import Resources, ResourcesDep, StoreDep

router = APIRouter(tags=["events"])

END = "end"
"""Name of the message after the last event. It has no id: it is not an event of the job."""
_BATCH = 200
RECHECK_SECONDS = 5.0
"""Interval at which a stream reads the database although nothing has happened: its job may have been deleted."""

LastEventId = Annotated[
    int | None,
    Header(ge=0, lt=2**63, description="Id of the last event received: the stream continues after it.", examples=[42]),
]


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """The result of one poll."""

    events: tuple[EventRecord, ...]
    end: JobState | None = None
    """The final state of the job, when no event will follow these."""
    scanned_through: int = 0
    """Id up to which all events were read, including those that the caller may not see."""


async def count_stream(principal: PrincipalDep, resources: ResourcesDep) -> AsyncIterator[None]:
    """A dependency that counts a stream while it is open: each polls the database several times a second.

    Raises:
        TooManyRequests: The caller has too many open streams.
    """
    with resources.authenticator.streams.one(principal.user):
        yield


_COUNTED = [Depends(count_stream)]


@router.get(
    "/jobs/{job_id}/events",
    summary="Stream a job's events",
    response_class=EventSourceResponse,
    dependencies=_COUNTED,
    responses=problem_responses(catalog.NOT_FOUND),
)
async def stream_job_events(
    job: VisibleJob, principal: PrincipalDep, resources: ResourcesDep, last_event_id: LastEventId = None
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events from the first one, or from the one after `Last-Event-ID`, to the job's end.

    The name of each message is the event's kind (`run.succeeded`, `trial.pruned`, `job.completed`, ...), its data the
    event as JSON. After the last event comes `end` with the job's final state. A stream that closes without `end` was
    interrupted (the service restarts, or you may not see the job any more): connect again with the last id received,
    and no event is lost or repeated.
    """

    def poll(after: int) -> _Batch:
        return _job_batch(resources.store, job_id=job.id, principal=principal, after=after)

    async for message in _messages(poll, resources=resources, after=last_event_id or 0):
        yield message


def _start(store: StoreDep, last_event_id: LastEventId = None) -> int:
    """The event after which a stream of all jobs starts."""
    return store.events.latest() if last_event_id is None else last_event_id


@router.get(
    "/events", summary="Stream the events of all jobs", response_class=EventSourceResponse, dependencies=_COUNTED
)
async def stream_events(
    principal: PrincipalDep, resources: ResourcesDep, start: Annotated[int, Depends(_start)]
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events of every job that you may see, from now on, or from the one after `Last-Event-ID`.

    The stream has no end. The name of each message is the event's kind, its data the event as JSON with the `job_id`. A
    stream that closes was interrupted: connect again with the last id received. Events are stored for a month by
    default.
    """

    def poll(after: int) -> _Batch:
        return _visible_batch(resources.store, principal=principal, after=after)

    async for message in _messages(poll, resources=resources, after=start):
        yield message


async def _messages(
    poll: Callable[[int], _Batch], *, resources: Resources, after: int
) -> AsyncIterator[ServerSentEvent]:
    """Polls for new events and yields them, until the job ends or the service stops."""
    seen, read_through, due_at = after, -1, 0.0
    while not resources.closing.is_set():
        try:
            latest = await resources.latest_event.value()
            if latest == read_through and time.monotonic() < due_at:  # the usual case, at no cost
                await anyio.sleep(resources.settings.event_poll_interval.total_seconds())
                continue
            batch = await run_in_threadpool(poll, seen)
            if not batch.events:
                read_through, due_at = latest, time.monotonic() + RECHECK_SECONDS
        except DatabaseUnavailable:
            batch = _Batch(events=())
        except NotFound:  # the job was deleted, or hidden from the caller
            return
        for event in batch.events:
            yield ServerSentEvent(event=event.kind, id=str(event.id), data=event)
            seen = event.id
        seen = max(seen, batch.scanned_through)
        if not batch.events:
            if batch.end is not None:
                yield ServerSentEvent(event=END, data={"state": batch.end})
                return
            await anyio.sleep(resources.settings.event_poll_interval.total_seconds())


def _job_batch(store: Store, *, job_id: str, principal: Principal, after: int) -> _Batch:
    """Reads the job's state, then its new events. In this order no event can follow those of an ended job.

    Raises:
        NotFound: The job does not exist any more, or the caller may not see it.
    """
    job = store.jobs.get(job_id)
    if not principal.visibility.covers(job):
        raise NotFound("job", key=job_id)
    events = store.events.after(after, job_id=job_id, limit=_BATCH)
    return _Batch(events=events, end=job.state if is_terminal(job.state) else None)


def _visible_batch(store: Store, *, principal: Principal, after: int) -> _Batch:
    """Reads the new events of all visible jobs, and the id up to which events were read.

    Without that id, the stream of a team without events would read all events of the other teams at every poll.
    """
    latest = store.events.latest()  # first: events become visible in the order of their ids
    if latest <= after:
        return _Batch(events=())
    events = store.events.after(after, visibility=principal.visibility, limit=_BATCH)
    return _Batch(events=events, scanned_through=latest if len(events) < _BATCH else 0)
