"""Planning by a worker when planning goes wrong."""

from __future__ import annotations

import pytest

from tests.integration.store.builders import claim_lock, offer
from tuner.driver.planner import PAUSE_SECONDS, PLANNING_ATTEMPTS, Planner
from tuner.errors import DatabaseUnavailable, StudyLockLost
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState
from tuner.search.settings import SearchSettings
from tuner.search.space import default_space


class Step:
    """A planning step that raises what it is told to; a stand-in for faults of Optuna that cannot be ordered."""

    def __init__(self) -> None:
        self.error: Exception | None = ZeroDivisionError("float division by zero")

    def __call__(self, store, *, lock, ahead) -> None:
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
    assert bench.job.error == "planning failed 3 times in a row, last with ZeroDivisionError: float division by zero"


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
