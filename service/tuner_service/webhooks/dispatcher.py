"""Sends what is due to the webhooks. It runs in every service; the database sees to it that they share the work."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog

from tuner.jobs.webhooks import DeliveryState, judge
from tuner.store import Store
from tuner_service.webhooks.courier import Courier
from tuner_service.webhooks.sender import TIMEOUT_SECONDS

HOLD_SECONDS = 6 * TIMEOUT_SECONDS
"""A dispatcher that has said nothing for so long about a delivery that it took is taken for dead."""
RETENTION = timedelta(days=30)
_STOP_SECONDS = 5.0  # one that hangs longer ends with the process; what it was sending is sent again
_THREADS = 4

log = structlog.get_logger(__name__)


class Dispatcher:
    """Some threads that make deliveries of events and send them; a context manager that runs them.

    Args:
        store: The database.
        courier: Sends.
        interval: Time between two looks when nothing is due.
        retention: How long deliveries that are over can be looked at.
        chance: Numbers in [0, 1), which spread the waits between attempts.
    """

    def __init__(
        self,
        store: Store,
        *,
        courier: Courier,
        interval: timedelta = timedelta(seconds=1),
        retention: timedelta = RETENTION,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._courier = courier
        self._interval = interval.total_seconds()
        self._retention = retention.total_seconds()
        self._chance = chance
        self._stopping = threading.Event()
        self._threads: tuple[threading.Thread, ...] = ()

    def __enter__(self) -> Self:
        self._stopping.clear()
        tasks = (self.look_once, *[self.deliver_due] * _THREADS)
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
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(deadline - time.monotonic(), 0.0))

    def look_once(self) -> None:
        """Make deliveries of what has happened; as new ones come, old ones are forgotten."""
        if self._store.deliveries.enqueue():
            self._store.deliveries.prune(older_than_seconds=self._retention)

    def deliver_due(self) -> None:
        """Send what is due, one after the other, until nothing is or the dispatcher is told to stop."""
        while not self._stopping.is_set() and self.deliver_once():
            pass

    def deliver_once(self) -> bool:
        """Make one attempt at the next delivery that is due; tell whether there was one."""
        due = self._store.deliveries.claim(hold_seconds=HOLD_SECONDS)
        if due is None:
            return False
        answer = self._courier.bring(
            due.body,
            webhook_id=due.webhook_id,
            url=due.url,
            webhook_format=due.format,
            key_version=due.key_version,
        )
        outcome = judge(answer, attempt=due.attempt, chance=self._chance())
        noted = self._store.deliveries.record(due, answer=answer, outcome=outcome)
        say = log.info if outcome.state is DeliveryState.DELIVERED else log.warning
        say(
            "webhooks.attempted",
            webhook_id=due.webhook_id,
            event_id=due.body["id"],
            job_id=due.body["job"]["id"],
            attempt=due.attempt,
            state=outcome.state.value if noted else "lost",
            error=answer.error,
        )
        return True

    def _repeat(self, task: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                task()
            except Exception:
                # Whatever it is, a dead dispatcher would tell nobody anything any more, and nobody would notice.
                log.exception("webhooks.failed")
            self._stopping.wait(self._interval)
