"""A worker plans what follows a run while the run is being trained."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest

from tests.integration.store.builders import offer
from tuner.driver.planner import Planner
from tuner.driver.prefetch_plan import PlanPrefetch
from tuner.errors import DatabaseUnavailable
from tuner.jobs.admission.admit import admit
from tuner.jobs.records import LeasedRun, StudyLock
from tuner.jobs.states import RunState, TrialState
from tuner.orchestrator import run_planning_step


class Bench:
    def __init__(self, site) -> None:
        self.site, self.store = site, site.store
        self.executor = ThreadPoolExecutor(max_workers=1)
        search = {"total_steps": 40, "budget": 4}
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


def test_no_run_is_requested_while_the_result_of_one_is_out(bench):
    first = bench.lease()
    assert bench.plan_beside(first)
    assert bench.states == [RunState.LEASED]
    assert bench.store.jobs.get(bench.job_id).plan_due
    bench.finish(first)
    second = bench.lease()
    assert bench.states == [RunState.SUCCEEDED, RunState.LEASED]
    assert second.run_id == bench.store.runs.list(bench.job_id).items[1].id


def test_a_trial_that_ended_is_closed_in_the_study_beside_the_next_run(bench):
    bench.finish(bench.lease())
    second = bench.lease()
    bench.plan_beside(second)
    trials = bench.store.trials.list(bench.job_id).items
    assert [trial.state for trial in trials] == [TrialState.COMPLETED, TrialState.ACTIVE]
    study = optuna.load_study(study_name=bench.job_id, storage=bench.store.optuna_storage())
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "RUNNING"]


def test_a_step_is_reported_once_and_begun_once_for_a_run(bench):
    first = bench.lease()
    assert bench.plan_beside(first)
    bench.ahead.begin(first)
    assert not bench.ahead.has_planned()


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
