"""Follows a job across restarts of the service: a thread reads its events, each of which triggers a read."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tuner.cli.workloads import NO_WORKER, has_worker
from tuner.errors import TunerError
from tuner.jobs.states import is_terminal

if TYPE_CHECKING:
    from tuner.api.jobs import JobDetail
    from tuner.client import Client
    from tuner.jobs.records import EventRecord

_TICK_SECONDS = 0.25
_REFRESH_SECONDS = 1.0  # without any event, the job is read this often
_DRAIN_SECONDS = 3.0  # events may arrive this much later than the state
_UNAVAILABLE = 503
_AWAY = "The service does not respond; waiting for it ..."


class Display(Protocol):
    """Shows a job."""

    def show(self, job: JobDetail, *, events: list[EventRecord], notice: str) -> None:
        """Show the job's state and its new events.

        Args:
            job: The job, as last read.
            events: The events since the last call.
            notice: What the job or this display waits for: the service, a worker. Empty when it waits for neither.
        """
        ...


def follow(url: str, *, job_id: str, display: Display, check: Callable[[], None] = lambda: None) -> JobDetail:
    """Show a job until it has finished. While the service is unreachable, wait for it.

    Args:
        url: Address of the service.
        job_id: The job.
        display: Shows it.
        check: Called a few times a second; an error that it raises ends the function.

    Returns:
        The job in its final state.

    Raises:
        NotFound: There is no such job.
        ServiceUnreachable: The service did not answer the first request.
    """
    from tuner.client import Client

    with Client.from_profile(url) as client:
        job = client.job(job_id)
        reader = _EventReader(url, job_id=job_id)
        notice, read_at = _missing_worker(client, job=job), time.monotonic()
        while True:
            check()
            events = reader.read()
            if is_terminal(job.state):
                display.show(job, events=events, notice="")
                if reader.at_end or time.monotonic() - read_at > _DRAIN_SECONDS:
                    return job
                continue
            if events or time.monotonic() - read_at > _REFRESH_SECONDS:
                try:
                    job = client.job(job_id)
                    notice = _missing_worker(client, job=job)
                except TunerError as error:
                    if not is_transient(error):
                        raise
                    notice = _AWAY
                read_at = time.monotonic()
            display.show(job, events=events, notice=notice)


def _missing_worker(client: Client, *, job: JobDetail) -> str:
    """A notice when an unfinished job has no worker; else empty."""
    return "" if is_terminal(job.state) or has_worker(client) else NO_WORKER


def is_transient(error: Exception) -> bool:
    """Whether a retry may succeed: the service restarts, or its database is unavailable."""
    from tuner.client import ApiProblem, ServiceUnreachable

    return isinstance(error, ServiceUnreachable) or (isinstance(error, ApiProblem) and error.status == _UNAVAILABLE)


class _EventReader:
    """Reads a job's events in a daemon thread, which ends with the last event or with the process."""

    def __init__(self, url: str, *, job_id: str) -> None:
        self._url = url
        self._job_id = job_id
        self._events: queue.SimpleQueue[EventRecord] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    @property
    def at_end(self) -> bool:
        """Whether all events have been read."""
        return not self._thread.is_alive() and self._failure is None and self._events.empty()

    def read(self) -> list[EventRecord]:
        """The events since the last call; waits a moment for the first.

        Raises:
            Exception: The error that ended the thread.
        """
        if self._failure is not None:
            raise self._failure
        events: list[EventRecord] = []
        try:
            events.append(self._events.get(timeout=_TICK_SECONDS))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            return events

    def _run(self) -> None:
        from tuner.client import Client

        try:
            with Client.from_profile(self._url) as client:
                for event in client.events(self._job_id, patience=math.inf):
                    self._events.put(event)
        except Exception as error:  # read() raises it in the caller's thread
            self._failure = error
