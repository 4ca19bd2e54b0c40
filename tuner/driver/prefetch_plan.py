"""Plans a study's next run while the present one is trained, so that the device need not wait for the plan."""

from __future__ import annotations

from concurrent.futures import Executor, Future, wait
from contextvars import copy_context
from typing import Protocol

from tuner.errors import DatabaseUnavailable, LeaseLost
from tuner.jobs.records import LeasedRun, StudyLock
from tuner.logs import event_logger
from tuner.orchestrator import LOCK_SECONDS
from tuner.store import Store

_log = event_logger(__name__)


class Plan(Protocol):
    """Takes one planning step and releases the lock; ``ahead`` as for `tuner.orchestrator.run_planning_step`."""

    def __call__(self, lock: StudyLock, *, ahead: bool = False) -> None: ...  # noqa: D102


class PlanPrefetch:
    """One planning step beside each run.

    The step ends before the run's result is recorded. The plan's input is then independent of how long runs and plans
    take, and a study done by one worker has one result.

    Args:
        store: The database.
        plan: Takes the step. Between `begin` and `is_done` nothing else calls it.
        executor: Takes the step beside the run; without one, the step is taken before the run begins.
    """

    def __init__(self, store: Store, *, plan: Plan, executor: Executor | None) -> None:
        self.plan = plan
        self._store = store
        self._executor = executor
        self._step: Future[bool] | None = None
        self._reported = False
        self._interrupted = False

    def enter_run(self, lease: LeasedRun) -> None:
        """Enter a run, for which no step was begun yet."""
        self._step, self._reported = None, False
        if self._executor is None:
            self._plan_ahead(lease)
            self._reported = True  # the run's own request has the branch points of what was planned

    def begin(self, lease: LeasedRun) -> None:
        """Begin the step for the job of a run that is being trained, unless it was begun."""
        if self._step is None and self._executor is not None:
            self._step = self._executor.submit(copy_context().run, self._plan_ahead, lease)

    def is_done(self, *, timeout: float = 0.0) -> bool:
        """Whether the step that was begun has ended; waits up to ``timeout`` seconds for it."""
        return self._step is None or bool(wait([self._step], timeout=timeout).done)

    def has_planned(self) -> bool:
        """Whether the step has ended and may have added a run. True once for each step."""
        if self._reported or self._step is None or not self._step.done():
            return False
        self._reported = True
        return self._step.result()

    def pop_interrupted(self) -> bool:
        """Whether the database went away during a step since the last call, so that its lock may still be held."""
        interrupted, self._interrupted = self._interrupted, False
        return interrupted

    def _plan_ahead(self, lease: LeasedRun) -> bool:
        try:
            lock = self._store.queue.lock_study(lease, lock_seconds=LOCK_SECONDS)
            if lock is not None:
                self.plan(lock, ahead=True)
        except LeaseLost:
            return False  # the run's own reports meet the same error
        except DatabaseUnavailable as error:
            _log.warning("plan.interrupted", error=str(error))
            self._interrupted = True
            return False
        return lock is not None
