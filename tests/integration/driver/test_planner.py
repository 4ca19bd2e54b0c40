"""Planning by a worker when planning goes wrong."""

from __future__ import annotations

import pytest

from tests.integration.store.builders import claim_lock, offer
from tuner.driver.planner import PAUSE_SECONDS, PLANNING_ATTEMPTS, Planner
from tuner.errors import DatabaseUnavailable, InvalidValue, StudyLockLost
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState
from tuner.search.settings import SearchSettings
from tuner.search.space import default_space


class Step:
    """A planning step that raises what it is told to; a stand-in for faults of Optuna that cannot be ordered."""

    def __init__(self) -> None:
        self.error: Exception | None = RuntimeError("the storage is confused")
        self.taken = 0

    def __call__(self, store, *, lock, ahead) -> None:
        self.taken += 1
        if self.error is not None:
            raise self.error
        store.planning.release(lock, again=True)


class Bench:
    def __init__(self, site) -> None:
        self.site = site
        self.step = Step()
        self.planner = Planner(site.store, step=self.step)
        info = site.store.workers.workload("gated")
        search = SearchSettings(total_steps=60, trials=2, space=default_space(info.optimizer))
        self.job_id = site.store.jobs.submit(JobSpec(workload="gated", search=search)).id

    def lock(self, worker: str = "w1"):
        return claim_lock(self.site.store, offer(worker, workloads={"gated": "1"}))

    def plan(self) -> None:
        lock = self.lock()
        assert lock is not None
        self.planner.plan(lock)

    def let_the_lock_expire(self) -> None:
        self.site.sql("UPDATE tuner_jobs SET lock_expires_at = 5 WHERE lock_expires_at IS NOT NULL")

    @property
    def job(self):
        return self.site.store.jobs.get(self.job_id)


@pytest.fixture
def bench(site) -> Bench:
    return Bench(site)


def test_a_step_that_fails_leaves_the_lock_to_expire_soon(bench):
    for failures in (1, 2):
        bench.plan()
        ((left,),) = bench.site.sql("SELECT lock_expires_at FROM tuner_jobs")
        assert left <= bench.site.store.now() + failures * PAUSE_SECONDS
        assert bench.lock("w2") is None
        bench.let_the_lock_expire()


def test_a_step_that_fails_leaves_the_job_to_others(bench):
    bench.plan()
    bench.let_the_lock_expire()
    assert bench.lock("w2") is not None


def test_a_job_whose_planning_always_fails_ends_with_the_reason(bench):
    for _ in range(PLANNING_ATTEMPTS):
        assert bench.job.state is JobState.QUEUED
        bench.plan()
        bench.let_the_lock_expire()
    assert bench.job.state is JobState.FAILED
    assert bench.job.error == "planning failed 3 times in a row, last with RuntimeError: the storage is confused"


def test_a_step_that_works_forgives_the_failures_before_it(bench):
    error = bench.step.error
    for fault in (error, error, None, error, error):
        bench.step.error = fault
        bench.plan()
        bench.let_the_lock_expire()
    assert bench.job.state is JobState.QUEUED


def test_a_lost_lock_is_no_failure_of_the_job(bench):
    bench.step.error = StudyLockLost(bench.job_id)
    for _ in range(PLANNING_ATTEMPTS + 1):
        bench.plan()
        bench.let_the_lock_expire()
    assert bench.job.state is JobState.QUEUED


def test_an_outage_is_no_failure_of_the_job(bench):
    bench.step.error = DatabaseUnavailable("gone")
    for _ in range(PLANNING_ATTEMPTS + 1):
        with pytest.raises(DatabaseUnavailable):
            bench.plan()
        bench.let_the_lock_expire()
    assert bench.job.state is JobState.QUEUED


class TestErrorsThatRepeatThemselves:
    """A plan is a function of the study's state: waiting does not help."""

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (
                InvalidValue("warmup.updates", value=20, allowed="less than 20"),
                "warmup.updates must be less than 20, got",
            ),
            (TypeError("'NoneType' object is not iterable"), "TypeError: 'NoneType' object is not iterable"),
            (ZeroDivisionError("float division by zero"), "ZeroDivisionError: float division by zero"),
            (KeyError("wsd.cooldown"), "KeyError: 'wsd.cooldown'"),
        ],
    )
    def test_the_job_fails_at_once_with_what_to_change(self, bench, error, words):
        bench.step.error = error
        bench.plan()
        assert bench.step.taken == 2
        assert bench.job.state is JobState.FAILED
        assert bench.job.error.startswith(f"the search cannot be planned: {words}")
        assert "submit a job with another value" in bench.job.error or "please report it" in bench.job.error

    def test_one_that_does_not_repeat_itself_is_forgotten(self, bench):
        errors = iter([ValueError("the job was being changed"), None])

        def step(store, *, lock, ahead):
            bench.step.error = next(errors)
            bench.step(store, lock=lock, ahead=ahead)

        bench.planner = Planner(bench.site.store, step=step)
        bench.plan()
        assert bench.job.state is JobState.QUEUED
        assert bench.lock("w2") is not None

    def test_another_one_each_time_counts_as_a_passing_fault(self, bench):
        numbers = iter(range(10))

        def step(store, *, lock, ahead):
            raise ValueError(f"fault {next(numbers)}")

        bench.planner = Planner(bench.site.store, step=step)
        bench.plan()
        assert bench.job.state is JobState.QUEUED
