"""``/v1/jobs/{job_id}/events``: what happens to a job, as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
import structlog
from fastapi import APIRouter, Header
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.problems import catalog
from service.problems.rendering import declared
from service.resources import ExistingJob, Resources, ResourcesDep
from tuner.errors import DatabaseUnavailable
from tuner.jobs.records import EventRecord
from tuner.jobs.states import JobState, is_over
from tuner.store import Store

router = APIRouter(prefix="/jobs", tags=["jobs"])

END = "end"
"""Kind of the message that says that nothing more will come. It has no id: it is not an event of the job."""
_BATCH = 200

log = structlog.get_logger(__name__)


@router.get(
    "/{job_id}/events",
    summary="Watch a job",
    response_class=EventSourceResponse,
    responses=declared(catalog.NOT_FOUND, catalog.INVALID_REQUEST),
)
async def watch_job(
    job: ExistingJob,
    resources: ResourcesDep,
    last_event_id: Annotated[
        int, Header(ge=0, lt=2**63, description="The last event already seen: the stream goes on after it.")
    ] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events from the first, or from after `Last-Event-ID`, to the job's end.

    Each event's name is its kind (`run.succeeded`, `trial.pruned`, `job.completed`, ...), its data the event as JSON.
    After the last one comes `end` with the job's final state. A stream that closes without `end` was cut (the service
    restarts): connect again with the last id seen, and nothing is lost or repeated.
    """
    seen = last_event_id
    while not resources.closing.is_set():
        try:
            state, events = await run_in_threadpool(_look, resources.store, job_id=job.id, after=seen)
        except DatabaseUnavailable as outage:
            log.warning("events.waiting", job_id=job.id, reason=str(outage))
            state, events = job.state, ()
            await _pause(resources)
            continue
        for event in events:
            yield ServerSentEvent(event=event.kind, id=str(event.id), data=event)
            seen = event.id
        if not events:
            if is_over(state):
                yield ServerSentEvent(event=END, data={"state": state})
                return
            await _pause(resources)


def _look(store: Store, *, job_id: str, after: int) -> tuple[JobState, tuple[EventRecord, ...]]:
    """The job's state, then what is new. In this order: no event can follow those of a job that had ended before."""
    state = store.jobs.get(job_id).state
    return state, store.events.after(after, job_id=job_id, limit=_BATCH)


async def _pause(resources: Resources) -> None:
    await anyio.sleep(resources.settings.event_poll_interval.total_seconds())
