"""Whole studies that people and limits interfere with: the real store and the real study, and made-up training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.integration.store.builders import announce, forecast, offer
from tests.integration.test_orchestrator import INFO, OFFER
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import admit
from tuner.jobs.admission.change import JobChange
from tuner.jobs.records import JobRecord, LeasedRun
from tuner.jobs.spec import Limits
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.orchestrator import run_planning_step
from tuner.report.report import Report
from tuner.store import Store

Train = Callable[[LeasedRun], float | None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path / 'tuner.db'}")
    announce(store, "w", workloads=[INFO])
    yield store
    store.close()


def submit(store: Store, *, limits: dict[str, Any] | None = None, **search: Any) -> JobRecord:
    request = {"workload": INFO.name, "search": {"budget": 4, **search}, "limits": limits or {}}
    return store.jobs.submit(admit(request, workloads=[INFO]))


def by_peak(lease: LeasedRun) -> float | None:
    """The lower the peak the better; seeds differ a little."""
    return lease.schedule.peak_lr + 1e-5 * (lease.seed % 7)


def broken(lease: LeasedRun) -> float | None:
    raise RuntimeError("no such file")


def diverging(lease: LeasedRun) -> float | None:
    return None


class Stopped(Exception):
    """The run is stopped after a third of its updates."""


def first_run(store: Store, job_id: str) -> str:
    return store.runs.list(job_id).items[0].id


def drive(store: Store, *, train: Train = by_peak, runs: int = 10_000, updates: int | None = None) -> int:
    """Plan and train, with one worker, until so many runs have ended or nothing is left to do; tell how many ended.

    A run makes so many updates, all of its schedule when absent.
    """
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
            made = updates or taken.total_steps
            store.leases.finish(taken, loss=train(taken), step=made, updates=made)
        except Stopped:
            step = taken.total_steps // 3
            hopeless = forecast(step, mean=1.0)
            store.leases.stop(taken, forecast=hopeless, step=step, updates=step, reason="almost no chance")
        except RuntimeError as error:
            store.leases.fail(taken, reason=str(error), retry=False)
    return ended


def report(store: Store, job: JobRecord) -> Report:
    found = store.jobs.get(job.id)
    assert found.state is JobState.COMPLETED, found.error
    return Report.model_validate(store.jobs.report(job.id))


def answer(store: Store, job: JobRecord) -> dict[str, Any]:
    found = Report.model_validate_json(report(store, job).model_dump_json().replace(job.id, "JOB"))
    return found.model_dump(exclude={"job_id", "cost"})


def trials(store: Store, job: JobRecord) -> int:
    return len(store.trials.list(job.id).items)


def reach(store: Store, job: JobRecord) -> None:
    """Have the job reach its limit of device time."""
    store.jobs.change(job.id, JobChange(limits=Limits(device_hours=1e-9)))
    store.reaper.enforce_limits()


class TestLimits:
    def test_at_the_target_no_more_trials_are_opened(self, store: Store) -> None:
        job = submit(store, budget=10, limits={"target": 1e9})
        drive(store)
        assert trials(store, job) == 1
        assert report(store, job).end_reason.startswith("the target 1e+09 is reached: trial 0 has ")

    def test_without_patience_left_no_more_trials_are_opened(self, store: Store) -> None:
        job = submit(store, budget=10, limits={"patience": 2})
        drive(store, train=lambda lease: 0.5)
        assert trials(store, job) == 3
        assert report(store, job).end_reason.startswith("2 trials in a row did not improve")

    def test_at_a_limit_of_time_the_report_is_made_of_what_is_there_and_says_so(self, store: Store) -> None:
        job = submit(store, budget=6)
        drive(store, runs=3)
        lease = store.queue.claim(offer("w", workloads=OFFER), lease_seconds=60.0, lock_seconds=60.0)
        while not isinstance(lease, LeasedRun):
            assert lease is not None
            run_planning_step(store, lock=lease)
            lease = store.queue.claim(offer("w", workloads=OFFER), lease_seconds=60.0, lock_seconds=60.0)
        reach(store, job)
        drive(store)
        found = report(store, job)
        assert "device" in found.end_reason
        statuses = [run.status.value for trial in found.trials for run in trial.runs]
        assert sorted(statuses) == ["finished"] * 3 + ["running"]
        assert store.runs.get(lease.run_id).state is RunState.CANCELLED

    def test_without_any_trial_at_the_horizon_the_job_fails_with_the_reason(self, store: Store) -> None:
        job = submit(store)
        drive(store, train=diverging, runs=1)
        reach(store, job)
        drive(store)
        failed = store.jobs.get(job.id)
        assert failed.state is JobState.FAILED
        assert "no trial had reached the full horizon: raise the limit and try the job again" in (failed.error or "")

    def test_it_can_be_raised_then_and_the_job_comes_to_its_report(self, store: Store) -> None:
        def fragile(lease: LeasedRun) -> float | None:
            return diverging(lease) if lease.run_id == first_run(store, lease.job_id) else by_peak(lease)

        undisturbed = submit(store)
        drive(store, train=fragile)
        job = submit(store)
        drive(store, train=fragile, runs=1)
        reach(store, job)
        drive(store)
        assert store.jobs.get(job.id).state is JobState.FAILED
        store.jobs.change(job.id, JobChange(limits=Limits(device_hours=None)))
        store.jobs.retry(job.id)
        drive(store, train=fragile)
        assert answer(store, job) == answer(store, undisturbed)


def test_a_search_whose_runs_all_diverge_gives_up_soon_and_says_what_to_change(store: Store) -> None:
    job = submit(store, budget=10)
    assert drive(store, train=diverging, updates=1) == 12
    failed = store.jobs.get(job.id)
    assert failed.state is JobState.FAILED
    assert "lower the range of peak_lr" in (failed.error or "")


class TestBudget:
    def test_it_is_kept(self, store: Store) -> None:
        job = submit(store, budget=5)
        assert drive(store) <= 5
        assert report(store, job).cost.full_runs <= 5

    @pytest.mark.parametrize("budget", [3, 4.5, 7])
    def test_one_that_is_changed_midway_is_kept_too(self, store: Store, budget: float) -> None:
        job = submit(store, budget=5)
        drive(store, runs=3)
        store.jobs.change(job.id, JobChange(budget=budget))
        drive(store)
        assert report(store, job).cost.budget == budget
        assert len(store.runs.list(job.id).items) <= budget

    def test_the_most_trials_that_are_changed_midway_are_kept(self, store: Store) -> None:
        job = submit(store, budget=6)
        drive(store, runs=2)
        opened = trials(store, job)
        store.jobs.change(job.id, JobChange(trials=opened))
        drive(store)
        assert trials(store, job) == opened
        assert report(store, job).cost.full_runs <= 6

    def test_what_was_cancelled_and_will_be_trained_when_it_is_tried_again_counts(self, store: Store) -> None:
        job = submit(store, budget=10)
        leased = 0
        while leased < 4:
            taken = store.queue.claim(offer("w", workloads=OFFER), lease_seconds=60.0, lock_seconds=60.0)
            if isinstance(taken, LeasedRun):
                leased += 1
            elif taken is not None:
                run_planning_step(store, lock=taken)
        store.jobs.cancel(job.id, reason="a mistake")
        with pytest.raises(InvalidValue, match="budget must be at least 4"):
            store.jobs.change(job.id, JobChange(budget=3))

    def test_a_run_that_is_stopped_early_leaves_its_rest_to_others(self, store: Store) -> None:
        def all_but_the_first_are_hopeless(lease: LeasedRun) -> float | None:
            if lease.run_id != first_run(store, lease.job_id):
                raise Stopped
            return by_peak(lease)

        job = submit(store, budget=4)
        drive(store, train=all_but_the_first_are_hopeless)
        runs = store.runs.list(job.id, limit=100).items
        assert len(runs) > 4
        assert {run.state for run in runs} == {RunState.SUCCEEDED, RunState.STOPPED}
        found = report(store, job)
        assert found.cost.full_runs <= 4
        assert found.cost.updates_stopped == 60 * sum(run.state is RunState.STOPPED for run in runs)


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
    @pytest.mark.parametrize("runs", [0, 3])
    def test_a_study_that_was_cancelled_comes_to_the_same_answer(self, store: Store, runs: int) -> None:
        undisturbed = submit(store)
        drive(store)
        job = submit(store)
        drive(store, runs=runs)
        store.jobs.cancel(job.id, reason="by mistake")
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
        assert report(store, job).recommended.values
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
    submit(store)
    claim("w2")
    request = {"workload": INFO.name, "priority": "high", "search": {"budget": 1}}
    urgent = store.jobs.submit(admit(request, workloads=[INFO]))
    assert claim("w").job_id == urgent.id
    assert store.reaper.preempt() == 0
