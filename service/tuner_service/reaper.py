"""Maintains the queue: it requeues runs whose lease expired, ends jobs at their limits, pre-empts runs for urgent jobs
and deletes old events. It runs in the service, so that it also runs without workers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog

from tuner.jobs.attempts import LOST_ATTEMPTS
from tuner.store import Reaped, Store
from tuner_service.failures import RepeatedTask

_STOP_SECONDS = 5.0  # a pass that hangs longer, without a database, ends with the process

_PASSES_PER_PRUNING = 30  # each is a write, and events stay for days

EVENT_RETENTION = timedelta(days=30)

log = structlog.get_logger(__name__)


class Reaper:
    """A thread that reaps every few seconds and survives database errors; a context manager that runs it.

    Args:
        store: The database.
        interval: Time between two passes.
        event_retention: How long events are stored.
        lost_limit: Attempts at a run in a row that may be lost while no snapshot of it moves on.
    """

    def __init__(
        self,
        store: Store,
        *,
        interval: timedelta,
        event_retention: timedelta = EVENT_RETENTION,
        lost_limit: int = LOST_ATTEMPTS,
    ) -> None:
        self._store = store
        self._interval = interval.total_seconds()
        self._lost_limit = lost_limit
        self._event_retention = event_retention.total_seconds()
        self._stopping = threading.Event()
        self._passes = 0
        self._thread: threading.Thread | None = None
        self._steps: dict[str, RepeatedTask] = {}

    def __enter__(self) -> Self:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=_STOP_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def reap_once(self) -> None:
        """Do one pass. A step that fails does not prevent the others; the next pass repeats it."""
        reaper, events = self._store.reaper, self._store.events
        self._try("reaper.reaped", lambda: _counts(reaper.reap(lost_limit=self._lost_limit)))
        self._try("reaper.limits_enforced", lambda: {"jobs": reaper.enforce_limits()})
        self._try("reaper.preempted", lambda: {"runs": reaper.preempt()})
        self._try("reaper.events_pruned", lambda: {"events": events.prune(self._event_retention)})

    def _try(self, what: str, act: Callable[[], Mapping[str, int]]) -> None:
        """Run one step, and log its counts if any is not zero. A failure must not end the thread."""

        def step() -> None:
            counts = act()
            if any(counts.values()):
                log.info(what, **counts)

        self._steps.setdefault(what, RepeatedTask("reaper.failed", at=what)).run(step)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.reap_once()
            self._stopping.wait(self._interval)


def _counts(reaped: Reaped) -> Mapping[str, int]:
    return {"requeued": reaped.requeued, "failed": reaped.failed}
