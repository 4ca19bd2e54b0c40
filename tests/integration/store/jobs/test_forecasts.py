"""Forecasts of running trainings, and the runs that they stop: the same on both databases."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.integration.store.builders import STEPS, Bench, forecast, new_run, point, spec
from tuner.errors import LeaseLost, NotFound
from tuner.jobs.forecasts import BestTrial
from tuner.jobs.records import CurvePoint, JobRecord, LeasedRun, SnapshotRef
from tuner.jobs.states import RunState, TrialState
from tuner.jobs.study_state import study_state
from tuner.metric import Metric
from tuner.search.decision.decisions import Role, RunStatus
from tuner.store import Store

BEST = BestTrial(trial=0, label="cosine", value=0.4, std=0.01, low=0.38, high=0.42, runs=1, margin=0.02)


def stop(store: Store, lease: LeasedRun, **changes: Any) -> None:
    values: dict[str, Any] = {"forecast": forecast(30), "step": 30, "updates": 30, "reason": "almost no chance"}
    store.leases.stop(lease, **values | changes)


def finish(store: Store, lease: LeasedRun, *, loss: float, points: list[CurvePoint]) -> None:
    store.leases.heartbeat(lease, points=points, lease_seconds=60.0)
    store.leases.finish(lease, loss=loss, step=STEPS, updates=STEPS)


def set_best(bench: Bench, job: JobRecord, best: BestTrial | None = BEST) -> None:
    bench.store.jobs.pause(job.id)
    bench.store.jobs.resume(job.id)
    lock = bench.lock()
    bench.store.planning.set_best(lock, best)
    bench.store.planning.release(lock, again=False)


class TestForecasts:
    def test_they_are_stored_with_the_evaluations_and_read_by_step(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        made = [forecast(20, stop=False, chance=0.5), forecast(40), forecast(60, audited=True)]
        store.leases.heartbeat(lease, points=[point(20)], forecasts=made[:1], lease_seconds=60.0)
        store.leases.heartbeat(lease, points=[point(40), point(60)], forecasts=made[:0:-1], lease_seconds=60.0)
        assert store.forecasts.of_run(lease.run_id) == tuple(made)

    def test_a_later_attempt_overwrites_those_of_an_earlier_one(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        for chance in (0.5, 0.25):
            made = [forecast(20, stop=False, chance=chance)]
            store.leases.heartbeat(lease, forecasts=made, lease_seconds=60.0)
        assert [one.chance for one in store.forecasts.of_run(lease.run_id)] == [0.25]

    def test_those_of_an_unknown_run_are_refused(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.forecasts.of_run("no-run")

    def test_they_go_with_their_job(self, bench: Bench, store: Store, sql: Any) -> None:
        job = bench.running_job()
        stop(store, bench.claim())
        store.jobs.cancel(job.id, reason="not needed")
        store.jobs.delete(job.id)
        assert sql("SELECT count(*) FROM tuner_forecasts") == [(0,)]

    def test_a_retry_of_the_job_begins_its_runs_without_them(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        lease = bench.claim()
        store.leases.heartbeat(lease, forecasts=[forecast(30)], lease_seconds=60.0)
        store.jobs.cancel(job.id, reason="by mistake")
        store.jobs.retry(job.id)
        assert store.forecasts.of_run(lease.run_id) == ()


class TestStoppedRuns:
    def test_a_stop_is_recorded_once_with_its_forecast(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        lease = bench.claim()
        stop(store, lease)
        run = store.runs.get(lease.run_id)
        assert (run.state, run.step, run.loss, run.error) == (RunState.STOPPED, 30, None, "almost no chance")
        assert run.finished_at is not None
        assert store.forecasts.of_run(run.id) == (forecast(30),)
        event = store.events.after(0, job_id=job.id, limit=100)[-1]
        assert event.kind == "run.stopped"
        expected = {"step": 30, "forecast": 0.9, "chance": 1e-4, "leader": 0.4, "reason": "almost no chance"}
        assert expected.items() <= event.data.items()
        with pytest.raises(LeaseLost):
            stop(store, lease)
        assert bench.kinds(job.id).count("run.stopped") == 1
        assert store.jobs.get(job.id).plan_due

    def test_its_event_has_values_of_the_metric(self, bench: Bench, store: Store, sql: Any) -> None:
        job = bench.running_job()
        metric = Metric(name="accuracy", direction="maximize").model_dump_json()
        sql("UPDATE tuner_jobs SET metric = :metric", metric=metric)
        stop(store, bench.claim(), forecast=forecast(30, mean=-0.6, leader_mean=-0.9))
        event = store.events.after(0, job_id=job.id, limit=100)[-1]
        assert (event.data["forecast"], event.data["leader"]) == (0.6, 0.9)

    def test_a_void_lease_stops_nothing(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        lease = bench.claim()
        store.leases.release(lease)
        with pytest.raises(LeaseLost):
            stop(store, lease)
        assert store.runs.get(lease.run_id).state is RunState.QUEUED
        assert store.forecasts.of_run(lease.run_id) == ()
        assert "run.stopped" not in bench.kinds(job.id)

    def test_it_costs_the_updates_of_its_schedule_until_the_stop_and_no_more(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=2)
        stop(store, bench.claim(), step=30, shared_updates=10, updates=20)
        record = store.planning.load(job.id)
        state = study_state(record)
        assert [run.steps for run in state.runs] == [30, STEPS]
        assert (record.job.updates_spent, record.job.updates_saved) == (20, 10)

    def test_the_plan_sees_its_forecast(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        lease = bench.claim()
        store.leases.heartbeat(lease, forecasts=[forecast(15, stop=False, mean=0.7)], lease_seconds=60.0)
        stop(store, lease)
        run = study_state(store.planning.load(job.id)).runs[0]
        assert (run.status, run.loss, run.std) == (RunStatus.STOPPED, 0.9, 0.05)

    def test_a_job_can_be_retried_without_its_stopped_runs(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=2)
        stopped, other = bench.claim(), bench.claim()
        stop(store, stopped)
        store.jobs.cancel(job.id, reason="by mistake")
        store.jobs.retry(job.id)
        assert store.runs.get(stopped.run_id).state is RunState.STOPPED
        assert store.runs.get(other.run_id).state is RunState.QUEUED

    def test_an_audited_run_counts_with_its_loss_and_the_first_forecast_that_would_have_stopped_it(
        self, bench: Bench, store: Store
    ) -> None:
        job = bench.running_job()
        lease = bench.claim()
        made = [forecast(step, audited=True, mean=mean) for step, mean in ((20, 0.9), (40, 0.8))]
        store.leases.heartbeat(lease, forecasts=made, lease_seconds=60.0)
        store.leases.finish(lease, loss=0.3, step=STEPS, updates=STEPS)
        record = store.planning.load(job.id)
        assert record.stops == {lease.run_id: made[0]}
        run = study_state(record).runs[0]
        assert (run.status, run.loss, run.std) == (RunStatus.FINISHED, 0.3, 0.0)

    def test_a_run_that_was_stopped_twice_because_of_a_crash_has_the_last_forecast(
        self, bench: Bench, store: Store
    ) -> None:
        job = bench.running_job()
        first = bench.claim()
        store.leases.heartbeat(first, forecasts=[forecast(30)], lease_seconds=60.0)
        assert store.reaper.free_worker("w1") == 1  # it died before the stop was recorded
        stop(store, bench.claim(), forecast=forecast(45, mean=0.8), step=45)
        record = store.planning.load(job.id)
        assert record.stops[first.run_id].step == 45
        assert study_state(record).runs[0].loss == 0.8


class TestContext:
    def test_it_has_the_leader_the_complete_curves_and_the_runs_own_losses_up_to_its_snapshot(
        self, bench: Bench, store: Store
    ) -> None:
        job = bench.running_job(runs=2)
        first = bench.claim()
        finish(store, first, loss=0.4, points=[point(0, val_loss=2.0), point(STEPS, val_loss=0.4)])
        set_best(bench, job)
        lease = bench.claim()
        losses = [point(step, val_loss=2.0 - step / 100) for step in (0, 20, 40)]
        store.leases.heartbeat(lease, points=losses, lease_seconds=60.0)
        store.leases.save_snapshot(lease, SnapshotRef(step=25, path="somewhere"))
        store.leases.release(lease)
        context = store.forecasts.context(bench.claim())
        assert context is not None
        assert (context.trial, context.best) == (1, BEST)
        assert context.points == ((0, 2.0), (20, 1.8))
        (curve,) = context.ended
        assert (curve.run_id, curve.seed, curve.total_steps) == (first.run_id, 7, STEPS)
        assert curve.points == ((0, 2.0), (STEPS, 0.4))

    def test_curves_that_the_caller_has_are_left_out(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=2)
        first = bench.claim()
        finish(store, first, loss=0.4, points=[point(STEPS)])
        set_best(bench, job)
        context = store.forecasts.context(bench.claim(), loaded=[first.run_id])
        assert context is not None
        assert context.ended == ()

    @pytest.mark.parametrize("reason", ["nothing is recommended yet", "the search does not prune"])
    def test_there_is_none_where_nothing_is_to_be_stopped(self, bench: Bench, store: Store, reason: str) -> None:
        search = spec().search.model_copy(update={"prune": reason != "the search does not prune"})
        job = bench.running_job(search=search)
        set_best(bench, job, None if reason == "nothing is recommended yet" else BEST)
        assert store.forecasts.context(bench.claim()) is None

    def test_a_further_seed_and_the_incumbent_are_not_stopped(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=0)
        store.jobs.pause(job.id)
        store.jobs.resume(job.id)
        lock = bench.lock()
        bench.add_trial(lock, 0)
        store.planning.add_run(lock, trial_number=0, run=new_run(seed=8))
        bench.add_trial(lock, 1, role=Role.INCUMBENT)
        store.planning.set_best(lock, BEST)
        store.planning.release(lock, again=False)
        looked_at = [store.forecasts.context(bench.claim()) is not None for _ in range(3)]
        assert looked_at == [True, False, False]

    def test_only_runs_that_succeeded_at_this_length_are_complete(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=0)
        store.jobs.pause(job.id)
        store.jobs.resume(job.id)
        lock = bench.lock()
        for number, steps in enumerate((STEPS, STEPS, STEPS // 2, STEPS)):
            bench.add_trial(lock, number, run=new_run(total_steps=steps))
        store.planning.set_best(lock, BEST)
        store.planning.release(lock, again=False)
        stop(store, bench.claim())
        store.leases.finish(bench.claim(), loss=None, step=9, updates=9)
        store.leases.finish(bench.claim(), loss=0.4, step=STEPS // 2, updates=STEPS // 2)
        context = store.forecasts.context(bench.claim())
        assert context is not None
        assert context.ended == ()


class TestLosses:
    def test_a_long_curve_is_thinned_to_its_stretches_and_keeps_its_end(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        points = [point(step, val_loss=1.0 / (1 + step)) for step in range(STEPS + 1)]
        store.leases.heartbeat(lease, points=points[:50], lease_seconds=60.0)
        before = store.forecasts.losses([lease.run_id], points=10)[lease.run_id]
        store.leases.heartbeat(lease, points=points[50:], lease_seconds=60.0)
        losses = store.forecasts.losses([lease.run_id], points=10)[lease.run_id]
        assert [step for step, _ in losses] == list(range(0, STEPS + 1, 10))
        assert losses[: len(before)] == before
        assert losses[-1] == (STEPS, 1.0 / (1 + STEPS))

    def test_a_loss_that_is_not_finite_is_left_out(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        points = [point(0), *(point(step, val_loss=bad) for step, bad in ((30, math.nan), (60, math.inf)))]
        store.leases.heartbeat(lease, points=points, lease_seconds=60.0)
        assert store.forecasts.losses([lease.run_id], points=200) == {lease.run_id: ((0, 0.5),)}

    def test_a_run_without_evaluations_has_none(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        assert store.forecasts.losses([lease.run_id], points=200) == {lease.run_id: ()}


def test_a_run_of_an_earlier_version_at_fewer_updates_is_unknown_to_the_plan(bench: Bench, store: Store) -> None:
    job = bench.running_job(runs=0)
    store.jobs.pause(job.id)
    store.jobs.resume(job.id)
    lock = bench.lock()
    bench.add_trial(lock, 0, run=new_run(total_steps=STEPS // 3))
    bench.add_trial(lock, 1)
    record = store.planning.load(job.id)
    assert {trial.state for trial in record.trials} == {TrialState.ACTIVE}
    state = study_state(record)
    assert [trial.status.value for trial in state.trials] == ["pruned", "active"]
    assert [run.trial for run in state.runs] == [1]
