"""Plans a study's next run while the present one is being trained, so that the device need not wait for the plan."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog

from tuner.driver.planner import Planner
from tuner.errors import DatabaseUnavailable, LeaseLost
from tuner.jobs.records import LeasedRun
from tuner.orchestrator import LOCK_SECONDS
from tuner.store import Store

_log = structlog.get_logger(__name__)


class PlanPrefetch:
    """One planning step beside each run, on a thread of its own.

    The step is over before the run's result is recorded: what the plan knows is then the same however long runs and
    plans take, and a study done by one worker has one answer.

    Args:
        store: The database.
        planner: Takes the step; used by nobody else from `begin` until `is_terminal`.
    """

    def __init__(self, store: Store, *, planner: Planner) -> None:
        self._store = store
        self._planner = planner
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plan-ahead")
        self._step: Future[bool] | None = None
        self._told = False
        self.broke_off = False
        """Whether the database went away under a step, so that its lock may still be held. For the caller to clear."""

    def forget(self) -> None:
        """Another run begins, for which no step was begun yet."""
        self._step, self._told = None, False

    def begin(self, lease: LeasedRun) -> None:
        """Begin the step for the job of a run that is being trained, unless it was."""
        if self._step is None:
            self._step = self._thread.submit(self._plan, lease)

    def is_terminal(self, *, timeout: float = 0.0) -> bool:
        """Whether the step that was begun has ended; waits for it so many seconds."""
        return self._step is None or bool(wait([self._step], timeout=timeout).done)

    def has_planned(self) -> bool:
        """Whether the step has ended and may have asked for a run. True once for each."""
        if self._told or self._step is None or not self._step.done():
            return False
        self._told = True
        return self._step.result()

    def close(self) -> None:
        """Wait for the step under way, and end the thread."""
        self._thread.shutdown()

    def _plan(self, lease: LeasedRun) -> bool:
        with structlog.contextvars.bound_contextvars(job_id=lease.job_id):
            try:
                lock = self._store.queue.lock_study(lease, lock_seconds=LOCK_SECONDS)
                if lock is not None:
                    self._planner.plan(lock, ahead=True)
            except LeaseLost:
                return False  # the run's own messages will tell
            except DatabaseUnavailable as error:
                _log.warning("plan.broke_off", error=str(error))
                self.broke_off = True
                return False
            return lock is not None
