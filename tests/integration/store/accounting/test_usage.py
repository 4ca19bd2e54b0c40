"""Device time: counted as it passes, for the run, the job, its account and the workload's pace."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.store.builders import OFFER, STEPS, Bench, announce, claim_run, offer
from tuner.devices import Device, DeviceKind
from tuner.jobs.records import LeasedRun, SnapshotRef, WorkerOffer
from tuner.jobs.spec import Limits
from tuner.jobs.states import RunState
from tuner.store import Store

Sql = Callable[..., list[Any]]
Backdate = Callable[[str, float], None]


@pytest.fixture
def backdate(sql: Sql) -> Backdate:
    """Let time pass that is not yet counted for a run."""

    def backdate(run_id: str, seconds: float) -> None:
        sql("UPDATE tuner_runs SET accounted_at = accounted_at - :seconds WHERE id = :id", seconds=seconds, id=run_id)

    return backdate


WRITES: dict[str, Callable[[Store, LeasedRun], object]] = {
    "heartbeat": lambda store, lease: store.leases.heartbeat(lease, updates=5, lease_seconds=60.0),
    "save_snapshot": lambda store, lease: store.leases.save_snapshot(lease, SnapshotRef(step=30, path="/d"), updates=5),
    "finish": lambda store, lease: store.leases.finish(lease, loss=0.5, step=STEPS, updates=5),
    "fail": lambda store, lease: store.leases.fail(lease, reason="broke", retry=False, updates=5),
    "fail with retry": lambda store, lease: store.leases.fail(lease, reason="broke", retry=True, updates=5),
    "release": lambda store, lease: store.leases.release(lease, updates=5),
}


@pytest.mark.parametrize("verb", WRITES)
def test_every_write_under_a_lease_counts_the_time_since_the_last(
    bench: Bench, store: Store, sql: Sql, backdate: Backdate, verb: str
) -> None:
    job = bench.ready_job()
    lease = bench.claim()
    backdate(lease.run_id, 100.0)
    WRITES[verb](store, lease)
    assert store.runs.get(lease.run_id).device_seconds == pytest.approx(100.0, abs=5.0)
    assert store.jobs.get(job.id).device_seconds == store.runs.get(lease.run_id).device_seconds
    (usage,) = sql("SELECT team, owner, hour, device_seconds, updates FROM tuner_usage")
    assert tuple(usage[:2]) == ("default", "local")
    assert abs(usage.hour - store.now() / 3600) <= 1
    assert (usage.device_seconds, usage.updates) == (pytest.approx(100.0, abs=5.0), 5)


def test_time_counts_once_however_often_it_is_reported(bench: Bench, store: Store, backdate: Backdate) -> None:
    bench.ready_job()
    lease = bench.claim()
    backdate(lease.run_id, 50.0)
    for _ in range(3):
        store.leases.heartbeat(lease, lease_seconds=60.0)
    backdate(lease.run_id, 50.0)
    store.leases.finish(lease, loss=0.5, step=STEPS, updates=STEPS)
    assert store.runs.get(lease.run_id).device_seconds == pytest.approx(100.0, abs=5.0)


def test_a_worker_with_several_devices_uses_them_all(bench: Bench, store: Store, backdate: Backdate) -> None:
    four = Device(name="cuda:0", torch_name="cuda:0", kind=DeviceKind.CUDA, model="A100", count=4)
    mine = WorkerOffer.of("w4", device=four, workloads=[OFFER])
    store.workers.announce(mine, workloads=[OFFER])
    bench.ready_job()
    lease = claim_run(store, mine)
    assert lease is not None
    backdate(lease.run_id, 10.0)
    store.leases.finish(lease, loss=0.5, step=STEPS, updates=STEPS)
    assert store.runs.get(lease.run_id).device_seconds == pytest.approx(40.0, abs=8.0)
    (pace,) = store.queue.paces("digits-mlp", "1")
    assert (pace.device_model, pace.updates) == ("A100", STEPS)
    assert pace.seconds_per_update == pytest.approx(40.0 / STEPS, abs=8.0 / STEPS)


def test_a_silent_workers_time_counts_until_its_lease_ran_out(
    bench: Bench, store: Store, sql: Sql, backdate: Backdate
) -> None:
    job = bench.ready_job()
    lease = bench.claim()
    backdate(lease.run_id, 1000.0)
    sql("UPDATE tuner_runs SET lease_expires_at = accounted_at + 60.0")
    store.reaper.reap()
    assert store.jobs.get(job.id).device_seconds == pytest.approx(60.0)


def test_what_a_cancelled_job_was_training_counts(bench: Bench, store: Store, backdate: Backdate) -> None:
    job = bench.ready_job(runs=2)
    lease = bench.claim()
    backdate(lease.run_id, 30.0)
    store.jobs.cancel(job.id, reason="enough")
    assert store.jobs.get(job.id).device_seconds == pytest.approx(30.0, abs=5.0)
    assert {run.state for run in store.runs.list(job.id).items} == {RunState.CANCELLED}


def test_a_running_run_counts_in_its_teams_share_before_it_has_taken_anything(bench: Bench, store: Store) -> None:
    bench.ready_job()
    bench.claim()
    (share,) = store.queue.shares()
    assert share.device_seconds == pytest.approx(60.0, abs=1.0)
    assert (share.share, share.running_runs, share.open_jobs) == (1.0, 1, 1)


def test_a_measured_pace_tells_what_a_run_is_expected_to_take(
    bench: Bench, store: Store, backdate: Backdate, sql: Sql
) -> None:
    bench.ready_job(runs=3)
    first = bench.claim()
    backdate(first.run_id, 900.0)
    store.leases.finish(first, loss=0.5, step=STEPS, updates=STEPS)
    second = bench.claim()
    expected = "SELECT expected_seconds FROM tuner_runs WHERE id = :id"
    assert sql(expected, id=second.run_id)[0][0] == pytest.approx(900.0, abs=20.0)
    store.leases.save_snapshot(second, SnapshotRef(step=60, path="/d"))
    store.leases.release(second)
    again = bench.claim()
    assert again.run_id == second.run_id
    assert sql(expected, id=again.run_id)[0][0] == pytest.approx(300.0, abs=20.0)


def test_only_runs_that_were_trained_to_an_end_are_measured(bench: Bench, store: Store, backdate: Backdate) -> None:
    bench.ready_job(runs=2)
    failed = bench.claim()
    backdate(failed.run_id, 900.0)
    store.leases.fail(failed, reason="it broke", retry=False, updates=1)
    assert store.queue.paces("digits-mlp", "1") == ()
    store.leases.finish(bench.claim(), loss=None, step=3, updates=3, reason="NaN")
    assert [pace.updates for pace in store.queue.paces("digits-mlp", "1")] == [3]


class TestJobLimits:
    def test_a_job_at_its_device_hours_is_marked_and_its_runs_are_stopped(
        self, bench: Bench, store: Store, backdate: Backdate
    ) -> None:
        job = bench.ready_job(runs=2, limits=Limits(device_hours=1.0))
        one, other = bench.claim("w1"), bench.claim("w2")
        assert store.leases.heartbeat(one, lease_seconds=60.0).stop is None
        backdate(one.run_id, 3600.0)
        stop = store.leases.heartbeat(one, lease_seconds=60.0).stop
        assert stop == "the job has reached its limit: its runs have taken 1 of 1 device hours"
        assert store.leases.heartbeat(other, lease_seconds=60.0).stop == stop
        after = store.jobs.get(job.id)
        assert (after.limit_reached, after.plan_due) == ("its runs have taken 1 of 1 device hours", True)
        assert bench.kinds(job.id).count("job.limit_reached") == 1

    def test_a_job_of_which_nothing_is_trained_ends_at_its_wall_hours_too(
        self, bench: Bench, store: Store, sql: Sql
    ) -> None:
        job = bench.ready_job(limits=Limits(wall_hours=2.0))
        bench.ready_job()
        assert store.reaper.enforce_limits() == 0
        sql("UPDATE tuner_jobs SET started_at = started_at - 7200")
        assert store.reaper.enforce_limits() == 1
        assert re.fullmatch(r"it has run for 2(\.00\d)? of 2 hours", store.jobs.get(job.id).limit_reached or "")
        assert store.reaper.enforce_limits() == 0

    def test_a_paused_job_is_left_alone(self, bench: Bench, store: Store, sql: Sql) -> None:
        job = bench.ready_job(limits=Limits(wall_hours=2.0))
        store.jobs.pause(job.id)
        sql("UPDATE tuner_jobs SET started_at = started_at - 7200")
        assert store.reaper.enforce_limits() == 0
        store.jobs.resume(job.id)
        assert store.reaper.enforce_limits() == 1


def test_a_worker_that_nobody_knows_counts_as_one_device(bench: Bench, store: Store, backdate: Backdate) -> None:
    job = bench.ready_job()
    lease = claim_run(store, offer("stranger", devices=3))
    assert lease is not None
    backdate(lease.run_id, 10.0)
    store.leases.finish(lease, loss=0.5, step=STEPS, updates=STEPS)
    assert store.jobs.get(job.id).device_seconds == pytest.approx(10.0, abs=5.0)
    assert store.queue.paces("digits-mlp", "1") == ()
    announce(store, "stranger")
