"""Plans for a job when no run is ready: the worker's turn at running the study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import structlog

from tuner.errors import DatabaseUnavailable, StudyLockLost
from tuner.jobs.records import StudyLock
from tuner.orchestrator import advance
from tuner.store import Store

_log = structlog.get_logger(__name__)

PLANNING_ATTEMPTS = 3
"""Planning steps in a row that may go wrong before the job is failed: a passing fault is over by then."""
PAUSE_SECONDS = 5.0
"""How long the job rests after the first of them; after the second twice as long."""

Advance = Callable[..., None]


class Planner:
    """Takes planning steps, and sees to it that a study that cannot be planned ends instead of going round for ever.

    Args:
        store: The database.
        step: Takes one planning step and lets go of the lock: `tuner.orchestrator.advance`.
    """

    def __init__(self, store: Store, *, step: Advance = advance) -> None:
        self._store = store
        self._step = step
        self._failures: Counter[str] = Counter()

    def plan(self, lock: StudyLock, *, ahead: bool = False) -> None:
        """Take one step; ``ahead`` as for `tuner.orchestrator.advance`.

        Raises:
            DatabaseUnavailable: The database went away; what was written stands, the next step mends the rest.
        """
        log = _log.bind(job_id=lock.job_id)
        try:
            self._step(self._store, lock=lock, ahead=ahead)
        except StudyLockLost:
            log.warning("plan.lock_lost", hint="another worker plans this job now")
        except DatabaseUnavailable:
            raise
        except Exception as error:  # whatever Optuna, its storage or a damaged study may raise: the worker lives
            self._failures[lock.job_id] += 1
            log.exception("plan.failed", failures=self._failures[lock.job_id])
            self._give_up_if_hopeless(lock, error=error)
        else:
            self._failures.pop(lock.job_id, None)

    def _give_up_if_hopeless(self, lock: StudyLock, *, error: Exception) -> None:
        """Fail the job after too many failures. Until then the lock is left to expire soon, as a pause.

        Soon, because a step may fail for no fault of the study: its predecessor, whose lock somebody took away by
        changing the job, was still writing.
        """
        failures = self._failures[lock.job_id]
        reason = f"planning failed {PLANNING_ATTEMPTS} times in a row, last with {type(error).__name__}: {error}"
        try:
            if failures < PLANNING_ATTEMPTS:
                self._store.planning.extend(lock, seconds=failures * PAUSE_SECONDS)
            else:
                self._store.planning.fail_job(lock, error=reason)
                del self._failures[lock.job_id]
        except StudyLockLost:
            _log.warning("plan.lock_lost", job_id=lock.job_id)
