"""What is known of jobs so far: reports on the runs that have ended, built once for each state of a study."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from anyio import CapacityLimiter, to_thread

from tuner.api.standing import Standing
from tuner.jobs.records import JobRecord, StudyRecord
from tuner.jobs.states import RunState
from tuner.report.report import Report
from tuner.store import Store

MAX_CACHED: Final = 32
"""Jobs whose last report is remembered."""
MAX_AGE_SECONDS: Final = 30.0
"""A remembered report is built again after this time: what running runs have cost is in it."""
_OPEN: Final = frozenset({RunState.QUEUED, RunState.LEASED})


@dataclass(frozen=True, kw_only=True)
class _Built:
    key: tuple[object, ...]
    at: float
    report: Report | None


class Standings:
    """Builds the reports, one at a time: each takes processor time in proportion to a study's runs.

    Args:
        store: The database.
        clock: Monotonic seconds.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._built: dict[str, _Built] = {}
        self._one_at_a_time: CapacityLimiter | None = None

    async def of(self, job: JobRecord) -> Standing:
        """What is known of a job.

        Raises:
            NotFound: It was deleted.
        """
        if self._one_at_a_time is None:
            self._one_at_a_time = CapacityLimiter(1)  # needs the event loop
        return await to_thread.run_sync(partial(self.read, job.id), limiter=self._one_at_a_time)

    def read(self, job_id: str) -> Standing:
        """As `of`, in the calling thread. Not to be called from two threads at a time."""
        record = self._store.planning.load(job_id)
        stored = self._store.jobs.report(job_id)
        report = self._report(record) if stored is None else Report.model_validate(stored)
        return Standing(
            job_id=job_id,
            state=record.job.state,
            final=stored is not None,
            sentence=_sentence(record, report=report, final=stored is not None),
            report=report,
        )

    def _report(self, record: StudyRecord) -> Report | None:
        from tuner.job_reports import standing_report  # loads scipy and Optuna

        now, key = self._clock(), _key(record)
        built = self._built.pop(record.job.id, None)
        if built is None or built.key != key or now - built.at > MAX_AGE_SECONDS:
            built = _Built(key=key, at=now, report=standing_report(self._store, record=record))
        self._built[record.job.id] = built
        while len(self._built) > MAX_CACHED:
            del self._built[next(iter(self._built))]
        return built.report


def _key(record: StudyRecord) -> tuple[object, ...]:
    """What a report depends on, but for the updates of running runs."""
    runs = ((run.id, run.state, run.loss, 0 if run.state in _OPEN else run.step) for run in record.runs)
    trials = ((trial.state, trial.end_reason) for trial in record.trials)
    return (record.job.state, record.job.spec, tuple(trials), tuple(runs))


def _sentence(record: StudyRecord, *, report: Report | None, final: bool) -> str:
    test = record.job.spec.search.range_test
    if test is not None and test.alone:
        from tuner.jobs.study_state import range_test_of  # loads scipy

        result = range_test_of(record)
        return f"The job is {record.job.state.value}. It is an LR range test: " + (
            "none of its runs has a curve yet." if result is None else result.summary
        )
    if report is None:
        training = sum(run.state is RunState.LEASED for run in record.runs)
        ended = sum(run.state not in _OPEN for run in record.runs)
        return (
            f"The job is {record.job.state.value}; no run has reached the horizon yet, so nothing can be recommended "
            f"({ended} of its runs have ended, {training} train now)."
        )
    if final:
        return report.finding
    return f"So far, {report.end_reason}. {report.finding}"
