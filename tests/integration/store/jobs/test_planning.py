"""The study lock and the writes of a plan: the same on both databases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.store.builders import STEPS, Bench, claim_lock, new_run, offer, point, schedule, spec
from tuner.errors import IllegalTransition, InvalidValue, NotFound, StudyLockLost
from tuner.jobs.forecasts import BestTrial
from tuner.jobs.records import StudyLock
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Alternative, Role
from tuner.store import Store

Sql = Callable[..., list[Any]]
EXPIRE_LOCKS = "UPDATE tuner_jobs SET lock_expires_at = 1.0 WHERE lock_token IS NOT NULL"


def nothing_due(store: Store) -> bool:
    return claim_lock(store, offer("w9")) is None


class TestStudyLock:
    def test_a_fresh_job_is_due_and_locked_by_one_worker_alone(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        before = store.now()
        lock = bench.lock(seconds=60.0)
        assert lock.job_id == job.id
        assert before + 59.0 < lock.expires_at < store.now() + 61.0
        assert not store.jobs.get(job.id).plan_due
        assert nothing_due(store)

    def test_the_highest_priority_is_planned_first_then_the_oldest(self, bench: Bench, store: Store) -> None:
        jobs = [store.jobs.submit(spec(priority=priority)).id for priority in ("normal", "high", "high")]
        assert [bench.lock().job_id for _ in jobs] == [jobs[1], jobs[2], jobs[0]]

    def test_only_jobs_of_the_workers_workloads_are_planned(self, store: Store) -> None:
        store.jobs.submit(spec())
        assert claim_lock(store, offer(workloads={"letters": "1"})) is None
        assert claim_lock(store, offer(workloads={})) is None
        assert claim_lock(store, offer(workloads={"digits-mlp": "2"})) is None

    def test_a_plan_that_found_nothing_to_do_leaves_the_job_alone(self, bench: Bench, store: Store) -> None:
        store.jobs.submit(spec())
        store.planning.release(bench.lock(), again=False)
        assert nothing_due(store)

    def test_a_plan_that_wants_to_go_on_is_due_again(self, bench: Bench, store: Store) -> None:
        store.jobs.submit(spec())
        store.planning.release(bench.lock(), again=True)
        assert not nothing_due(store)

    def test_an_expired_lock_counts_as_due_and_its_holder_is_refused(
        self, bench: Bench, store: Store, sql: Sql
    ) -> None:
        store.jobs.submit(spec())
        late = bench.lock("w1")
        sql(EXPIRE_LOCKS)
        lock = bench.lock("w2")
        assert lock.token != late.token
        with pytest.raises(StudyLockLost):
            store.planning.start_job(late)
        store.planning.start_job(lock)

    def test_a_job_that_is_over_is_never_planned(self, bench: Bench, store: Store, sql: Sql) -> None:
        job = store.jobs.submit(spec())
        bench.lock()
        sql(EXPIRE_LOCKS)
        store.jobs.cancel(job.id, reason="not needed")
        assert nothing_due(store)

    @pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
    def test_a_lock_without_end_is_refused(self, store: Store, seconds: float) -> None:
        with pytest.raises(InvalidValue, match="seconds must be above 0 and at most 3600 s"):
            store.queue.claim(offer(), lease_seconds=60.0, lock_seconds=seconds)


class TestWakeUps:
    """Whatever happens while a plan is being made is planned for afterwards."""

    def test_a_result_that_comes_in_during_planning_makes_it_due_again(self, bench: Bench, store: Store) -> None:
        bench.running_job(runs=2)
        first, second = bench.claim(), bench.claim()
        store.leases.finish(first, loss=0.5, step=STEPS, updates=STEPS)
        lock = bench.lock()
        store.planning.load(lock.job_id)
        store.leases.finish(second, loss=0.4, step=STEPS, updates=STEPS)
        store.planning.release(lock, again=False)
        assert not nothing_due(store)

    @pytest.mark.parametrize("retry", [True, False])
    def test_a_failure_makes_planning_due(self, bench: Bench, store: Store, retry: bool) -> None:
        bench.running_job()
        assert nothing_due(store)
        store.leases.fail(bench.claim(), reason="it broke", retry=retry)
        assert not nothing_due(store)

    def test_a_reaped_lease_makes_planning_due(self, bench: Bench, store: Store, sql: Sql) -> None:
        bench.running_job()
        bench.claim()
        sql("UPDATE tuner_runs SET lease_expires_at = 1.0")
        store.reaper.reap()
        assert not nothing_due(store)


class TestWrites:
    def test_a_study_is_loaded_as_it_was_written(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        lock = bench.lock()
        store.planning.start_job(lock)
        configuration = Configuration(schedule=schedule(0.2), options=(("width", 32),))
        trial = store.planning.add_trial(
            lock,
            number=0,
            role=Role.INCUMBENT,
            configuration=configuration,
            reason="it is used today",
            run=new_run(reason="the first run"),
        )
        considered = (Alternative(action="another seed of trial 0", value=0.25), Alternative(action="stop", value=0.0))
        again = new_run(seed=8, reason="again", alternatives=considered)
        run = store.planning.add_run(lock, trial_number=0, run=again)
        assert trial.optuna_number is None
        store.planning.set_optuna_numbers(lock, numbers={0: 3})
        trial = store.trials.get(job.id, number=0)
        record = store.planning.load(job.id)
        assert record.job.state is JobState.RUNNING
        assert record.job.started_at is not None
        assert record.job.spec == spec()
        assert record.trials == (trial,)
        assert (trial.optuna_number, trial.role) == (3, Role.INCUMBENT)
        assert trial.configuration == configuration
        assert (trial.reason, trial.state) == ("it is used today", TrialState.ACTIVE)
        assert record.runs[1:] == (run,)
        assert [(r.seed, r.reason) for r in record.runs] == [(7, "the first run"), (8, "again")]
        assert [r.alternatives for r in record.runs] == [(), considered]
        assert record.stops == {}
        assert all(r.state is RunState.QUEUED and r.trial_number == 0 and r.attempts == 0 for r in record.runs)
        assert bench.kinds(job.id)[2:] == ["trial.started", "run.queued", "run.queued"]

    def test_starting_a_running_job_again_changes_nothing(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        lock = bench.lock()
        store.planning.start_job(lock)
        store.planning.start_job(lock)
        assert bench.kinds(job.id) == ["job.submitted", "job.started"]

    def test_a_job_that_was_not_started_takes_no_trial(self, bench: Bench, store: Store) -> None:
        store.jobs.submit(spec())
        with pytest.raises(IllegalTransition, match="is queued"):
            bench.add_trial(bench.lock(), 0)

    def test_a_trial_planned_twice_is_refused_and_leaves_no_run(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        lock = bench.lock()
        store.planning.start_job(lock)
        bench.add_trial(lock, 0)
        told = bench.kinds(job.id)
        with pytest.raises(InvalidValue, match="number must be new to the job"):
            bench.add_trial(lock, 0)
        assert len(store.runs.list(job.id).items) == len(store.trials.list(job.id).items) == 1
        assert bench.kinds(job.id) == told

    def test_two_trials_never_have_one_optuna_number(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        lock = bench.lock()
        store.planning.start_job(lock)
        for number in range(2):
            bench.add_trial(lock, number)
        store.planning.set_optuna_numbers(lock, numbers={0: 4})
        with pytest.raises(InvalidValue, match=r"optuna_number must be new to the job"):
            store.planning.set_optuna_numbers(lock, numbers={1: 4})
        with pytest.raises(NotFound, match="7 of job"):
            store.planning.set_optuna_numbers(lock, numbers={1: 5, 7: 6})
        assert [trial.optuna_number for trial in store.trials.list(job.id).items] == [4, None]

    def test_a_run_planned_twice_is_refused(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        lock = bench.lock()
        store.planning.start_job(lock)
        bench.add_trial(lock, 0)
        with pytest.raises(InvalidValue, match="run must be new to the trial"):
            store.planning.add_run(lock, trial_number=0, run=new_run())
        store.planning.add_run(lock, trial_number=0, run=new_run(seed=8))
        assert len(store.runs.list(job.id).items) == 2

    def test_the_best_trial_of_a_job_is_read_as_it_was_written(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        lock = bench.lock()
        assert job.best is None
        best = BestTrial(trial=3, label="cosine", value=0.1 + 0.2, std=0.01, low=0.28, high=0.32, runs=2, margin=0.005)
        store.planning.set_best(lock, best)
        assert store.jobs.get(job.id).best == store.jobs.status(job.id).progress.best == best
        store.planning.set_best(lock, None)
        assert store.jobs.get(job.id).best is None

    def test_a_trial_that_does_not_exist_is_named(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        lock = bench.lock()
        store.planning.start_job(lock)
        with pytest.raises(NotFound, match=f"there is no trial '4 of job {job.id}'"):
            store.planning.add_run(lock, trial_number=4, run=new_run())

    @pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.COMPLETED, TrialState.FAILED])
    def test_a_trial_ends_once_and_says_why(self, bench: Bench, store: Store, state: TrialState) -> None:
        job = bench.running_job()
        store.leases.finish(bench.claim(), loss=0.5, step=STEPS, updates=STEPS)
        lock = bench.lock()
        store.planning.close_trial(lock, number=0, state=state, reason="third of three")
        trial = store.trials.list(job.id).items[0]
        assert (trial.state, trial.reason, trial.end_reason) == (state, "trial 0", "third of three")
        assert bench.kinds(job.id)[-1] == f"trial.{state.value}"
        with pytest.raises(IllegalTransition):
            store.planning.close_trial(lock, number=0, state=TrialState.COMPLETED, reason="again")

    @pytest.mark.parametrize("state", [TrialState.ACTIVE, TrialState.CANCELLED])
    def test_a_plan_cannot_close_a_trial_into_a_state_that_is_not_its_to_give(
        self, bench: Bench, store: Store, state: TrialState
    ) -> None:
        store.jobs.submit(spec())
        with pytest.raises(InvalidValue, match="state must be completed, pruned or failed"):
            store.planning.close_trial(bench.lock(), number=0, state=state, reason="")


class TestEnd:
    def test_a_completed_job_has_its_report_and_no_lock(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        store.leases.finish(bench.claim(), loss=0.5, step=STEPS, updates=STEPS)
        assert store.jobs.report(job.id) is None
        lock = bench.lock()
        report = {"best": {"loss": 0.1 + 0.2, "tiny": 5e-324, "none": None}, "words": ["é", "😀", 2**53]}
        store.planning.complete_job(lock, report=report)
        assert store.jobs.report(job.id) == report
        done = store.jobs.get(job.id)
        assert (done.state, done.plan_due, done.error) == (JobState.COMPLETED, False, None)
        assert done.finished_at is not None
        assert nothing_due(store)
        with pytest.raises(StudyLockLost):
            store.planning.release(lock, again=False)

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_a_report_with_a_number_that_is_none_is_refused(self, bench: Bench, store: Store, number: float) -> None:
        job = bench.running_job()
        store.leases.fail(bench.claim(), reason="it broke", retry=False)
        with pytest.raises(InvalidValue, match="report must be JSON with finite numbers"):
            store.planning.complete_job(bench.lock(), report={"loss": number})
        assert store.jobs.get(job.id).state is JobState.RUNNING

    def test_a_failed_job_says_why_and_takes_its_open_runs_along(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=3)
        store.leases.fail(bench.claim(), reason="it broke", retry=False)
        leased = bench.claim()
        store.planning.fail_job(bench.lock(), error="the workload fails with every schedule")
        record = store.planning.load(job.id)
        assert (record.job.state, record.job.error) == (JobState.FAILED, "the workload fails with every schedule")
        assert [run.state for run in record.runs] == [RunState.FAILED, RunState.CANCELLED, RunState.CANCELLED]
        assert {trial.state for trial in record.trials} == {TrialState.CANCELLED}
        assert (record.trials[0].reason, record.trials[0].end_reason) == ("trial 0", "the job was failed")
        assert leased.run_id == record.runs[1].id
        assert bench.nothing_to_claim()


LATE: dict[str, Callable[[Store, StudyLock], object]] = {
    "start_job": lambda store, lock: store.planning.start_job(lock),
    "add_trial": lambda store, lock: Bench(store).add_trial(lock, 5),
    "add_run": lambda store, lock: store.planning.add_run(lock, trial_number=0, run=new_run(seed=9)),
    "set_best": lambda store, lock: store.planning.set_best(lock, None),
    "close_trial": lambda store, lock: store.planning.close_trial(
        lock, number=0, state=TrialState.PRUNED, reason="late"
    ),
    "complete_job": lambda store, lock: store.planning.complete_job(lock, report={}),
    "fail_job": lambda store, lock: store.planning.fail_job(lock, error="late"),
    "release": lambda store, lock: store.planning.release(lock, again=True),
}


class TestLatePlanners:
    @pytest.mark.parametrize("verb", LATE)
    def test_a_planner_whose_lock_expired_and_was_taken_is_refused(
        self, bench: Bench, store: Store, sql: Sql, verb: str
    ) -> None:
        job = bench.running_job()
        lease = bench.claim()
        store.leases.finish(lease, loss=0.5, step=STEPS, updates=STEPS)
        late = bench.lock("w1")
        sql(EXPIRE_LOCKS)
        bench.lock("w2")
        before = (store.planning.load(job.id), bench.kinds(job.id))
        with pytest.raises(StudyLockLost, match=f"the study lock of job {job.id} is no longer held"):
            LATE[verb](store, late)
        assert (store.planning.load(job.id), bench.kinds(job.id)) == before
        assert nothing_due(store)

    @pytest.mark.parametrize("verb", LATE)
    def test_a_planner_whose_job_was_cancelled_is_refused(self, bench: Bench, store: Store, verb: str) -> None:
        job = bench.running_job()
        store.leases.finish(bench.claim(), loss=0.5, step=STEPS, updates=STEPS)
        late = bench.lock("w1")
        store.jobs.cancel(job.id, reason="not needed")
        with pytest.raises(StudyLockLost):
            LATE[verb](store, late)
        assert store.jobs.get(job.id).state is JobState.CANCELLED


def test_a_lock_that_expired_but_was_not_taken_still_holds(bench: Bench, store: Store, sql: Sql) -> None:
    store.jobs.submit(spec())
    lock = bench.lock()
    sql(EXPIRE_LOCKS)
    store.planning.start_job(lock)
    store.planning.release(lock, again=False)
    assert nothing_due(store)


def test_curve_points_of_one_run_do_not_show_on_another(bench: Bench, store: Store) -> None:
    bench.running_job(runs=2)
    first, second = bench.claim(), bench.claim()
    store.leases.heartbeat(first, points=[point(30)], lease_seconds=60.0)
    assert store.runs.curve(second.run_id) == ()
