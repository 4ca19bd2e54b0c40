"""Takes back the leases of workers that went silent. It runs in the service, so that it runs when no worker does."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog

from tuner.store import Store

_STOP_SECONDS = 5.0  # a look that hangs longer, on a database that is away, ends with the process

log = structlog.get_logger(__name__)


class Reaper:
    """A thread that reaps every few seconds, whatever happens to the database; a context manager that runs it.

    Args:
        store: The database.
        interval: Time between two looks.
    """

    def __init__(self, store: Store, *, interval: timedelta) -> None:
        self._store = store
        self._interval = interval.total_seconds()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

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
        """Take back what has expired now. An outage of the database is logged and borne: the next look may succeed."""
        try:
            reaped = self._store.queue.reap()
        except Exception:
            # Whatever it is, a dead reaper would leave runs leased for ever, and nobody would notice.
            log.exception("reaper.failed")
            return
        if reaped.requeued or reaped.failed:
            log.info("reaper.reaped", requeued=reaped.requeued, failed=reaped.failed)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.reap_once()
            self._stopping.wait(self._interval)
