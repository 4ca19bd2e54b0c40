"""Follows a job while services come and go: its events from a thread, its state whenever something happened."""

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
    from tuner.client import Client
    from tuner.jobs.progress import JobDetail
    from tuner.jobs.records import EventRecord

_TICK_SECONDS = 0.25
_LOOK_SECONDS = 1.0  # without any event, the job is looked at this often
_DRAIN_SECONDS = 3.0  # events may trail the state by this much
_UNAVAILABLE = 503
_AWAY = "The service does not answer; waiting for it ..."


class View(Protocol):
    """What a job is shown on."""

    def show(self, job: JobDetail, *, events: list[EventRecord], notice: str) -> None:
        """Show how the job stands, and what happened since the last call.

        Args:
            job: The job, as last heard of.
            events: New ones.
            notice: What keeps the job, or the news of it, waiting now: no service, no worker. Empty when nothing does.
        """
        ...


def follow(url: str, *, job_id: str, view: View, check: Callable[[], None] = lambda: None) -> JobDetail:
    """Show a job until it has ended. While the service is away, wait for it.

    Args:
        url: Address of the service.
        job_id: The job.
        view: Where to show it.
        check: Called a few times a second; what it raises ends the following.

    Returns:
        The job in its final state.

    Raises:
        NotFound: There is no such job.
        ServiceUnreachable: The service did not answer when it was asked for the first time.
    """
    from tuner.client import Client

    with Client.from_profile(url) as client:
        job = client.job(job_id)
        feed = _Feed(url, job_id=job_id)
        notice, looked_at = _wants(client, job=job), time.monotonic()
        while True:
            check()
            events = feed.take()
            if is_terminal(job.state):
                view.show(job, events=events, notice="")
                if feed.at_end or time.monotonic() - looked_at > _DRAIN_SECONDS:
                    return job
                continue
            if events or time.monotonic() - looked_at > _LOOK_SECONDS:
                try:
                    job = client.job(job_id)
                    notice = _wants(client, job=job)
                except TunerError as error:
                    if not is_passing(error):
                        raise
                    notice = _AWAY
                looked_at = time.monotonic()
            view.show(job, events=events, notice=notice)


def _wants(client: Client, *, job: JobDetail) -> str:
    """What an unfinished job lacks to go on."""
    return "" if is_terminal(job.state) or has_worker(client) else NO_WORKER


def is_passing(error: Exception) -> bool:
    """Whether it helps to ask again: the service is being restarted, or its database is away."""
    from tuner.client import ApiProblem, ServiceUnreachable

    return isinstance(error, ServiceUnreachable) or (isinstance(error, ApiProblem) and error.status == _UNAVAILABLE)


class _Feed:
    """A job's events, read by a thread that ends with them, or with the process: it is mostly inside a read."""

    def __init__(self, url: str, *, job_id: str) -> None:
        self._url = url
        self._job_id = job_id
        self._events: queue.SimpleQueue[EventRecord] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="events", daemon=True)
        self._thread.start()

    @property
    def at_end(self) -> bool:
        """Whether there is nothing more to take."""
        return not self._thread.is_alive() and self._failure is None and self._events.empty()

    def take(self) -> list[EventRecord]:
        """The events that came since; waits a moment for the first. Raises what ended the reading, if anything did."""
        if self._failure is not None:
            raise self._failure
        events: list[EventRecord] = []
        try:
            events.append(self._events.get(timeout=_TICK_SECONDS))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            return events

    def _read(self) -> None:
        from tuner.client import Client

        try:
            with Client.from_profile(self._url) as client:
                for event in client.events(self._job_id, patience=math.inf):
                    self._events.put(event)
        except Exception as error:  # raised where it can be handled: in the thread that takes
            self._failure = error
