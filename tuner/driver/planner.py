"""Takes planning steps, and ends a study that cannot be planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tuner.errors import DatabaseUnavailable, InvalidValue, StudyLockLost
from tuner.jobs.records import StudyLock
from tuner.logs import event_logger
from tuner.orchestrator import LOCK_SECONDS, run_planning_step
from tuner.store import Store

_log = event_logger(__name__)

PLANNING_ATTEMPTS = 3
"""Planning steps in a row that may go wrong before the job is failed: a passing fault is over by then."""
PAUSE_SECONDS = 5.0
"""How long the job rests after the first of them; after the second twice as long."""

_OF_THE_STUDY = (TypeError, ValueError, ArithmeticError, LookupError, AssertionError)
"""Errors of the computation. A plan is a function of the study's state, so they repeat themselves, unless the state was
being changed: errors of a database, a file or a network are of other types."""

Advance = Callable[..., None]


class Planner:
    """Takes planning steps. A job whose step fails in the same way when it is repeated at once, or again and again for
    other reasons, is failed.

    Args:
        store: The database.
        step: Takes one planning step and releases the lock: `tuner.orchestrator.run_planning_step`.
    """

    def __init__(self, store: Store, *, step: Advance = run_planning_step) -> None:
        self._store = store
        self._step = step
        self._failures: Counter[str] = Counter()

    def plan(self, lock: StudyLock, *, ahead: bool = False) -> None:
        """Take one step; ``ahead`` as for `tuner.orchestrator.run_planning_step`.

        Raises:
            DatabaseUnavailable: The database is away; what was written is valid, and the next step completes the rest.
        """
        try:
            self._repeat_if_of_the_study(lock, ahead=ahead)
        except StudyLockLost:
            _log.warning("plan.lock_lost", job_id=lock.job_id, hint="another worker plans this job now")
        except DatabaseUnavailable:
            raise
        except Exception as error:  # Optuna, its storage or a damaged study may raise anything; the worker goes on
            self._failures[lock.job_id] += 1
            _log.exception("plan.failed", job_id=lock.job_id, failures=self._failures[lock.job_id])
            self._give_up_if_hopeless(lock, error=error)
        else:
            self._failures.pop(lock.job_id, None)

    def _repeat_if_of_the_study(self, lock: StudyLock, *, ahead: bool) -> None:
        """Take one step; fail the job where it raises the same error of the study twice."""
        try:
            self._step(self._store, lock=lock, ahead=ahead)
        except _OF_THE_STUDY as first:
            # A change of the job in between may have caused it: the step loads the study again.
            _log.exception("plan.repeated", job_id=lock.job_id)
            self._store.planning.extend(lock, seconds=LOCK_SECONDS)
            try:
                self._step(self._store, lock=lock, ahead=ahead)
            except _OF_THE_STUDY as second:
                if (type(second), str(second)) != (type(first), str(first)):
                    raise
                self._store.planning.fail_job(lock, error=_why(second))

    def _give_up_if_hopeless(self, lock: StudyLock, *, error: Exception) -> None:
        """Fail the job after too many failures; before that, extend the lock for a short pause.

        The pause is short because a step may fail for no fault of the study: a step that lost its lock, because the job
        was changed, may still have been writing.
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


def _why(error: Exception) -> str:
    """Why a study cannot be planned, and what to do."""
    if isinstance(error, InvalidValue):
        return (
            f"the search cannot be planned: {error}. A stored request cannot change: submit a job with another value."
        )
    return (
        f"the search cannot be planned: {type(error).__name__}: {error}. Trying again would end in the same way: "
        "this is a bug, please report it with the traceback in the worker's log."
    )
