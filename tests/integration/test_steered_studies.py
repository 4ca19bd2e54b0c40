"""Whole studies that people and limits interfere with: the real store and the real study, and made-up training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.integration.store.builders import announce, offer
from tests.integration.test_orchestrator import INFO, OFFER
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import admit
from tuner.jobs.admission.change import JobChange
from tuner.jobs.records import JobRecord, LeasedRun, RunKind
from tuner.jobs.spec import Limits
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.orchestrator import run_planning_step
from tuner.report.report import Report
from tuner.search.decision.decisions import TrialStatus
from tuner.store import Store

Train = Callable[[LeasedRun], float | None]
ONE_RUNG: dict[str, Any] = {"rungs": 1, "cohort": 2, "finalists": 1, "confirm_seeds": 2}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path / 'tuner.db'}")
    announce(store, "w", workloads=[INFO])
    yield store
    store.close()


def submit(store: Store, *, limits: dict[str, Any] | None = None, **search: Any) -> JobRecord:
    request = {"workload": INFO.name, "search": {"trials": 4, "rungs": 3, **search}, "limits": limits or {}}
    return store.jobs.submit(admit(request, workloads=[INFO]))


def by_peak(lease: LeasedRun) -> float | None:
    """The lower the peak the better; a longer run is better by a constant."""
    return lease.schedule.peak_lr + 1.0 / lease.total_steps


def broken(lease: LeasedRun) -> float | None:
    raise RuntimeError("no such file")


def drive(store: Store, *, train: Train = by_peak, runs: int = 10_000) -> int:
    """Plan and train, with one worker, until so many runs have ended or nothing is left to do; tell how many ended."""
    ended = 0
    while ended < runs:
        taken = store.queue.claim(offer("w", workloads=OFFER), lease_seconds=60.0, lock_seconds=60.0)
        if taken is None:
            break
        if not isinstance(taken, LeasedRun):
            run_planning_step(store, lock=taken)
            continue
        ended += 1
        try:
            store.leases.finish(taken, loss=train(taken), step=taken.total_steps, updates=taken.total_steps)
        except RuntimeError as error:
            store.leases.fail(taken, reason=str(error), retry=False)
    return ended


def report(store: Store, job: JobRecord) -> Report:
    found = store.jobs.get(job.id)
    assert found.state is JobState.COMPLETED, found.error
    return Report.model_validate(store.jobs.report(job.id))


def answer(store: Store, job: JobRecord) -> dict[str, Any]:
    return report(store, job).model_dump(exclude={"job_id", "cost"})


def trials(store: Store, job: JobRecord) -> int:
    return len(store.trials.list(job.id).items)


def reach(store: Store, job: JobRecord) -> None:
    """Have the job reach its limit of device time."""
    store.jobs.change(job.id, JobChange(limits=Limits(device_hours=1e-9)))
    store.reaper.enforce_limits()


class TestLimits:
    def test_at_the_target_no_more_trials_are_opened_and_the_best_is_confirmed(self, store: Store) -> None:
        job = submit(store, **ONE_RUNG, trials=30, limits={"target": 1e9})
        drive(store)
        assert trials(store, job) == 1
        found = report(store, job)
        assert found.why_ended.startswith("the target 1e+09 is reached: trial 0 has ")
        assert len(found.best.values) == 2

    def test_without_patience_left_no_more_trials_are_opened(self, store: Store) -> None:
        job = submit(store, **ONE_RUNG, trials=30, limits={"patience": 2})
        drive(store, train=lambda lease: 0.5)
        assert trials(store, job) == 3
        assert report(store, job).why_ended.startswith("2 trials in a row did not improve")

    def test_at_a_limit_of_time_the_answer_is_made_of_what_is_there_and_says_so(self, store: Store) -> None:
        job = submit(store, **ONE_RUNG)
        drive(store, runs=3)
        lease = store.queue.claim(offer("w", workloads=OFFER), lease_seconds=60.0, lock_seconds=60.0)
        while not isinstance(lease, LeasedRun):
            assert lease is not None
            run_planning_step(store, lock=lease)
            lease = store.queue.claim(offer("w", workloads=OFFER), lease_seconds=60.0, lock_seconds=60.0)
        reach(store, job)
        drive(store)
        found = report(store, job)
        assert "3 of 4" not in found.why_ended
        assert "4 of 4 trials were tried, and 0 of " in found.why_ended
        assert (found.best.values, found.best.median) == ((), None)
        assert [row.status for row in found.trials] == [*[TrialStatus.COMPLETED] * 3, TrialStatus.ACTIVE]
        assert store.runs.get(lease.run_id).state is RunState.CANCELLED
        assert "cannot be said" in found.finding

    def test_without_any_trial_at_the_horizon_the_job_fails_with_the_reason(self, store: Store) -> None:
        job = submit(store)
        drive(store, runs=1)
        reach(store, job)
        drive(store)
        failed = store.jobs.get(job.id)
        assert failed.state is JobState.FAILED
        assert "no trial had reached the full horizon: raise the limit and try the job again" in (failed.error or "")

    def test_it_can_be_raised_then_and_the_job_comes_to_its_answer(self, store: Store) -> None:
        undisturbed = submit(store)
        drive(store)
        job = submit(store)
        drive(store, runs=1)
        reach(store, job)
        drive(store)
        store.jobs.change(job.id, JobChange(limits=Limits(device_hours=None)))
        store.jobs.retry(job.id)
        drive(store)
        assert answer(store, job) == answer(store, undisturbed)


class TestBudget:
    @pytest.mark.parametrize(("runs", "now"), [(1, 1), (3, 2), (3, 7), (6, 6)])
    def test_trials_that_are_changed_midway_are_exact(self, store: Store, runs: int, now: int) -> None:
        job = submit(store, **ONE_RUNG)
        drive(store, runs=runs)
        wanted = max(now, trials(store, job))
        if store.jobs.get(job.id).state is not JobState.COMPLETED:
            store.jobs.change(job.id, JobChange(trials=wanted))
            drive(store)
            assert trials(store, job) == wanted
        assert report(store, job).best.values

    def test_a_limit_of_updates_that_comes_late_is_kept(self, store: Store) -> None:
        job = submit(store, **ONE_RUNG, trials=20)
        drive(store, runs=4)
        store.jobs.change(job.id, JobChange(max_updates=12 * 90))
        drive(store)
        done = store.runs.list(job.id).items
        assert sum(run.total_steps for run in done) <= 12 * 90
        assert any(run.kind is RunKind.CONFIRM for run in done)
        assert report(store, job).why_ended.startswith("the limit of 1,080 updates is reached")

    def test_what_was_cancelled_and_will_be_trained_when_it_is_tried_again_counts(self, store: Store) -> None:
        job = submit(store, **ONE_RUNG, trials=20)
        leased = 0
        while leased < 14:
            taken = store.queue.claim(offer("w", workloads=OFFER), lease_seconds=60.0, lock_seconds=60.0)
            if isinstance(taken, LeasedRun):
                leased += 1
            elif taken is not None:
                run_planning_step(store, lock=taken)
        store.jobs.cancel(job.id, reason="a mistake")
        with pytest.raises(InvalidValue, match="max_updates must be at least"):
            store.jobs.change(job.id, JobChange(max_updates=12 * 90))


class TestPause:
    def test_a_study_that_was_paused_comes_to_the_same_answer(self, store: Store) -> None:
        undisturbed = submit(store)
        drive(store)
        job = submit(store)
        for _ in range(2):
            drive(store, runs=1)
            store.jobs.pause(job.id)
            assert drive(store) == 0
            store.jobs.resume(job.id)
        drive(store)
        assert answer(store, job) == answer(store, undisturbed)


class TestRetry:
    @pytest.mark.parametrize("runs", [0, 5])
    def test_a_study_that_was_cancelled_comes_to_the_same_answer(self, store: Store, runs: int) -> None:
        undisturbed = submit(store)
        drive(store)
        job = submit(store)
        drive(store, runs=runs)
        store.jobs.cancel(job.id, reason="a mistake")
        assert drive(store) == 0
        store.jobs.retry(job.id)
        drive(store)
        assert answer(store, job) == answer(store, undisturbed)

    def test_what_failed_is_trained_and_the_sampler_learns_nothing_from_it(self, store: Store) -> None:
        job = submit(store)
        drive(store, train=broken)
        assert store.jobs.get(job.id).state is JobState.FAILED
        failed = trials(store, job)
        store.jobs.retry(job.id)
        drive(store)
        assert report(store, job).best.values
        assert TrialState.FAILED not in {trial.state for trial in store.trials.list(job.id).items}
        study = optuna.load_study(study_name=job.id, storage=store.optuna_storage())
        states = [trial.state.name for trial in study.get_trials(deepcopy=False)]
        assert (states[:failed], "FAIL" in states[failed:]) == (["FAIL"] * failed, False)


def test_an_urgent_job_that_waits_for_its_own_run_has_no_other_stopped(store: Store) -> None:
    def claim(worker: str) -> LeasedRun:
        while True:
            taken = store.queue.claim(offer(worker, workloads=OFFER), lease_seconds=60.0, lock_seconds=60.0)
            if isinstance(taken, LeasedRun):
                return taken
            assert taken is not None
            run_planning_step(store, lock=taken)

    announce(store, "w2", workloads=[INFO])
    submit(store, **ONE_RUNG)
    claim("w2")
    request = {"workload": INFO.name, "priority": "high", "search": {**ONE_RUNG, "trials": 1}}
    urgent = store.jobs.submit(admit(request, workloads=[INFO]))
    assert claim("w").job_id == urgent.id
    assert store.reaper.preempt() == 0
