"""A worker plans what follows a run while the run is being trained."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.store.builders import offer
from tuner.driver.planner import Planner
from tuner.driver.prefetch_plan import PlanPrefetch
from tuner.errors import DatabaseUnavailable
from tuner.jobs.admission.admit import admit
from tuner.jobs.records import LeasedRun, StudyLock
from tuner.jobs.states import RunState, TrialState
from tuner.orchestrator import run_planning_step
from tuner.schedules import Constant, Schedule


class Bench:
    def __init__(self, site) -> None:
        self.site, self.store = site, site.store
        self.executor = ThreadPoolExecutor(max_workers=1)
        search: dict[str, Any] = {
            "total_steps": 40,
            "trials": 4,
            "cohort": 2,
            "rungs": 1,
            "finalists": 1,
            "confirm_seeds": 2,
        }
        search["start"] = [Schedule(peak_lr=peak, family=Constant()) for peak in (0.1, 0.2)]
        spec = admit({"workload": "gated", "search": search}, workloads=[self.store.workers.workload("gated")])
        self.job_id = self.store.jobs.submit(spec).id
        self.ahead = PlanPrefetch(self.store, plan=Planner(self.store).plan, executor=self.executor)

    def claim(self) -> LeasedRun | StudyLock | None:
        asked = offer("w1", workloads={"gated": "1"})
        return self.store.queue.claim(asked, lease_seconds=60.0, lock_seconds=60.0)

    def lease(self) -> LeasedRun:
        """The next run, planned first where it must be."""
        while isinstance(found := self.claim(), StudyLock):
            run_planning_step(self.store, lock=found)
        assert isinstance(found, LeasedRun)
        return found

    def plan_beside(self, lease: LeasedRun) -> bool:
        self.ahead.enter_run(lease)
        self.ahead.begin(lease)
        assert self.ahead.is_done(timeout=60.0)
        return self.ahead.has_planned()

    def finish(self, lease: LeasedRun) -> None:
        self.store.leases.finish(lease, loss=0.5, step=40, updates=40)

    @property
    def states(self) -> list[RunState]:
        return [run.state for run in self.store.runs.list(self.job_id).items]


@pytest.fixture
def bench(site):
    bench = Bench(site)
    yield bench
    bench.executor.shutdown()


def test_the_next_run_is_ready_when_the_present_one_ends(bench):
    first = bench.lease()
    assert bench.plan_beside(first)
    assert bench.states == [RunState.LEASED, RunState.QUEUED]
    bench.finish(first)
    assert isinstance(bench.claim(), LeasedRun)


def test_one_run_is_planned_ahead_and_no_more(bench):
    first = bench.lease()
    bench.plan_beside(first)
    assert not bench.plan_beside(first)
    assert bench.states == [RunState.LEASED, RunState.QUEUED]


def test_a_step_is_reported_once_and_begun_once_for_a_run(bench):
    first = bench.lease()
    assert bench.plan_beside(first)
    bench.ahead.begin(first)
    assert not bench.ahead.has_planned()


def test_no_schedule_is_chosen_while_the_result_of_a_run_is_out(bench):
    first = bench.lease()
    bench.plan_beside(first)
    bench.finish(first)
    second = bench.lease()
    bench.plan_beside(second)
    assert bench.states == [RunState.SUCCEEDED, RunState.LEASED]
    assert bench.store.jobs.get(bench.job_id).plan_due
    bench.finish(second)
    third = bench.lease()
    trials = bench.store.trials.list(bench.job_id).items
    assert [trial.cohort for trial in trials] == [0, 0, 1]
    assert third.run_id == bench.store.runs.list(bench.job_id).items[2].id
    assert trials[0].state is TrialState.COMPLETED


def test_a_worker_that_is_to_drain_plans_nothing(bench):
    first = bench.lease()
    bench.store.workers.announce(offer("w1", workloads={"gated": "1"}), workloads=bench.store.workers.workloads())
    bench.store.workers.set_worker("w1", draining=True)
    assert not bench.plan_beside(first)
    assert bench.states == [RunState.LEASED]


def test_a_lost_lease_plans_nothing(bench):
    first = bench.lease()
    bench.store.jobs.pause(bench.job_id)
    bench.store.leases.release(first)
    assert not bench.plan_beside(first)
    assert not bench.ahead.pop_interrupted()


def test_a_paused_job_is_not_planned(bench):
    first = bench.lease()
    bench.store.jobs.pause(bench.job_id)
    assert not bench.plan_beside(first)


def test_an_outage_is_remembered_for_the_lock_may_be_ours_still(bench):
    def away(store, *, lock, ahead):
        raise DatabaseUnavailable("gone")

    first = bench.lease()
    bench.ahead = PlanPrefetch(bench.store, plan=Planner(bench.store, step=away).plan, executor=bench.executor)
    assert not bench.plan_beside(first)
    assert bench.ahead.pop_interrupted()
    assert not bench.ahead.pop_interrupted()
    assert bench.site.sql("SELECT lock_owner FROM tuner_jobs") == [("w1",)]


def test_the_run_does_not_wait_for_its_beginning(bench):
    began, go_on = threading.Event(), threading.Event()

    def slow(store, *, lock, ahead):
        began.set()
        assert go_on.wait(60)
        store.planning.release(lock, again=True)

    first = bench.lease()
    bench.ahead = PlanPrefetch(bench.store, plan=Planner(bench.store, step=slow).plan, executor=bench.executor)
    bench.ahead.begin(first)
    assert began.wait(60)
    assert not bench.ahead.is_done()
    assert not bench.ahead.has_planned()
    go_on.set()
    assert bench.ahead.is_done(timeout=60.0)
