"""Sends due deliveries to the webhooks. Every service runs a dispatcher; they share the work through the database."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog

from tuner.jobs.webhooks import DeliveryResponse, DeliveryState, DueDelivery, next_attempt
from tuner.store import Store
from tuner_service.failures import RepeatedTask
from tuner_service.webhooks.sender import TIMEOUT_SECONDS, WebhookSender

HOLD_SECONDS = 3 * TIMEOUT_SECONDS
"""A dispatcher that has not recorded the result of a claimed delivery for so long counts as dead."""
RETENTION = timedelta(days=30)
_STOP_SECONDS = 5.0  # a thread that hangs longer ends with the process; its delivery is sent again
_THREADS = 4

log = structlog.get_logger(__name__)


class Dispatcher:
    """Threads that turn events into deliveries and send them; a context manager that runs them.

    Args:
        store: The database.
        sender: Signs and posts the events.
        interval: Time between two polls when nothing is due.
        retention: How long finished deliveries stay.
        jitter: Returns numbers in [0, 1) that spread the waits between attempts.
    """

    def __init__(
        self,
        store: Store,
        *,
        sender: WebhookSender,
        interval: timedelta = timedelta(seconds=1),
        retention: timedelta = RETENTION,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._sender = sender
        self._interval = interval.total_seconds()
        self._retention = retention.total_seconds()
        self._jitter = jitter
        self._stopping = threading.Event()
        self._due = threading.Event()
        self._threads: tuple[threading.Thread, ...] = ()

    def __enter__(self) -> Self:
        self._stopping.clear()
        tasks = (self._watch, *[self._deliver_when_due] * _THREADS)
        self._threads = tuple(
            threading.Thread(target=self._repeat, args=(task,), name=f"webhooks-{number}", daemon=True)
            for number, task in enumerate(tasks)
        )
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._due.set()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(deadline - time.monotonic(), 0.0))

    def enqueue(self) -> None:
        """Create deliveries for new events, and prune old deliveries when there are new ones."""
        if self._store.deliveries.enqueue():
            self._store.deliveries.prune(older_than_seconds=self._retention)

    def deliver_due(self) -> None:
        """Send due deliveries one after the other, until none is due or the dispatcher stops."""
        while not self._stopping.is_set() and self.deliver_once():
            pass

    def deliver_once(self) -> bool:
        """Make one attempt at the next due delivery; return whether there was one."""
        due = self._store.deliveries.claim(hold_seconds=HOLD_SECONDS)
        if due is None:
            return False
        response = self._attempt(due)
        outcome = next_attempt(response, attempt=due.attempt, jitter=self._jitter())
        recorded = self._store.deliveries.record(due, response=response, outcome=outcome)
        write = log.info if outcome.state is DeliveryState.DELIVERED else log.warning
        write(
            "webhooks.attempted",
            webhook_id=due.webhook_id,
            event_id=due.body["id"],
            job_id=due.body["job"]["id"],
            attempt=due.attempt,
            state=outcome.state.value if recorded else "lost",
            error=response.error,
        )
        return True

    def _watch(self) -> None:
        """Enqueue what is new, and wake the other threads when a delivery is due: one thread alone polls."""
        self.enqueue()
        if self._store.deliveries.is_due():
            self._due.set()

    def _deliver_when_due(self) -> None:
        self._due.wait()
        self._due.clear()
        self.deliver_due()

    def _attempt(self, due: DueDelivery) -> DeliveryResponse:
        """Send a claimed delivery. Whatever goes wrong is the end of this attempt: otherwise the delivery would wait
        until its claim expires.
        """
        try:
            return self._sender.deliver(
                due.body,
                webhook_id=due.webhook_id,
                url=due.url,
                webhook_format=due.format,
                key_version=due.key_version,
            )
        except Exception as error:
            log.exception("webhooks.attempt_failed", webhook_id=due.webhook_id, event_id=due.body["id"])
            return DeliveryResponse(status=None, error=f"the service could not send it: {type(error).__name__}")

    def _repeat(self, task: Callable[[], None]) -> None:
        repeated = RepeatedTask("webhooks.failed", at=getattr(task, "__name__", "task"))
        while not self._stopping.is_set():
            repeated.run(task)  # a dead thread would stop all deliveries unnoticed
            self._stopping.wait(self._interval)
