"""Claims, leases and results: the same on both databases."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.integration.store.builders import (
    OFFER,
    STEPS,
    Bench,
    announce,
    claim_lock,
    claim_run,
    new_run,
    offer,
    point,
    spec,
)
from tuner.errors import InvalidValue, LeaseLost
from tuner.jobs.attempts import LOST_ATTEMPTS, MAX_FAILED_ATTEMPTS
from tuner.jobs.records import SnapshotRef
from tuner.jobs.states import RunState
from tuner.store import Reaped, Store

Expire = Callable[[str], None]


class TestClaim:
    def test_nothing_is_claimed_from_an_empty_queue(self, bench: Bench) -> None:
        assert bench.nothing_to_claim()

    def test_a_claim_carries_everything_that_training_needs(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        before = store.now()
        lease = bench.claim(lease_seconds=60.0)
        assert (lease.job_id, lease.workload, lease.workload_version) == (job.id, "digits-mlp", "1")
        assert (lease.options, lease.total_steps, lease.seed) == ({"width": 64}, STEPS, 7)
        assert (lease.attempt, lease.snapshot, lease.schedule) == (1, None, new_run().schedule)
        assert before + 59.0 < lease.expires_at < store.now() + 61.0
        run = store.runs.get(lease.run_id)
        assert (run.state, run.worker, run.attempts) == (RunState.LEASED, "w1", 1)
        assert run.started_at is not None

    def test_runs_go_in_the_order_of_their_making(self, bench: Bench) -> None:
        bench.running_job(runs=3)
        assert [bench.store.runs.get(bench.claim().run_id).trial_number for _ in range(3)] == [0, 1, 2]
        assert bench.nothing_to_claim()

    def test_a_higher_priority_goes_first_and_equal_ones_by_age(self, bench: Bench) -> None:
        jobs = [bench.running_job(priority=priority).id for priority in ("normal", "low", "high", "high", "normal")]
        assert [bench.claim().job_id for _ in jobs] == [jobs[2], jobs[3], jobs[0], jobs[4], jobs[1]]

    @pytest.mark.parametrize(
        "offered", [{}, {"digits-mlp": "2"}, {"letters": "1"}, {"letters": "1", "digits-mlp": "0"}]
    )
    def test_only_the_very_version_that_a_job_was_submitted_for_is_claimed(
        self, bench: Bench, store: Store, offered: dict[str, str]
    ) -> None:
        bench.running_job()
        assert claim_run(store, offer(workloads=offered)) is None
        assert claim_run(store, offer(workloads={"letters": "1", "digits-mlp": "1"})) is not None

    def test_every_claim_of_a_run_gets_a_fresh_token(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        first = bench.claim()
        store.leases.release(first)
        assert bench.claim().token != first.token

    @pytest.mark.parametrize("seconds", [0.0, -1.0, 3600.1, math.inf, math.nan])
    def test_a_lease_that_never_or_always_expires_is_refused(self, store: Store, seconds: float) -> None:
        with pytest.raises(InvalidValue, match="lease_seconds must be above 0 and at most 3600 s"):
            store.queue.claim(offer(), lease_seconds=seconds, lock_seconds=60.0)


class TestHeartbeat:
    def test_it_extends_the_lease_from_now(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim(lease_seconds=1.0)
        status = store.leases.heartbeat(lease, lease_seconds=500.0)
        assert status.expires_at > lease.expires_at + 400.0
        assert status.stop is None
        assert store.reaper.reap() == Reaped(requeued=0, failed=0)

    def test_points_and_updates_are_kept(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        lease = bench.claim()
        points = (point(0, train_loss=None), point(30, val_loss=0.1 + 0.2))
        store.leases.heartbeat(lease, points=points, updates=30, lease_seconds=60.0)
        store.leases.heartbeat(lease, points=[point(60)], updates=30, lease_seconds=60.0)
        assert store.runs.curve(lease.run_id) == (*points, point(60))
        assert store.runs.get(lease.run_id).step == 60
        assert store.jobs.get(job.id).updates_spent == 60

    def test_a_second_attempt_overwrites_the_points_of_the_first(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        first = bench.claim()
        store.leases.heartbeat(first, points=[point(30), point(60)], updates=60, lease_seconds=60.0)
        store.leases.release(first)
        store.leases.heartbeat(bench.claim(), points=[point(30, val_loss=0.4)], updates=30, lease_seconds=60.0)
        assert store.runs.curve(first.run_id) == (point(30, val_loss=0.4), point(60))
        assert store.jobs.get(job.id).updates_spent == 90

    def test_losses_that_are_no_numbers_come_back_as_they_were(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        lease = bench.claim()
        points = [point(30, val_loss=math.inf), point(60, val_loss=math.nan, train_loss=math.nan)]
        store.leases.heartbeat(lease, points=points, lease_seconds=60.0)
        infinite, nan = store.runs.curve(lease.run_id)
        assert infinite.val_loss == math.inf
        assert math.isnan(nan.val_loss)
        assert nan.train_loss is None
        told = [event.data["value"] for event in store.events.after(0, job_id=job.id) if "value" in event.data]
        assert told == [None, None]

    @pytest.mark.parametrize("step", [-1, STEPS + 1])
    def test_a_point_outside_the_run_is_refused_and_nothing_stored(self, bench: Bench, store: Store, step: int) -> None:
        job = bench.running_job()
        lease = bench.claim()
        with pytest.raises(InvalidValue, match=rf"step must be in \[0, {STEPS}\]"):
            store.leases.heartbeat(lease, points=[point(30), point(step)], updates=30, lease_seconds=60.0)
        assert store.runs.curve(lease.run_id) == ()
        assert store.jobs.get(job.id).updates_spent == 0

    def test_negative_updates_are_refused(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        with pytest.raises(InvalidValue, match="updates must be at least 0"):
            store.leases.heartbeat(bench.claim(), updates=-1, lease_seconds=60.0)


class TestFinish:
    def test_a_loss_is_recorded_and_planning_is_due(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        lease = bench.claim()
        assert not store.jobs.get(job.id).plan_due
        store.leases.finish(lease, loss=0.25, step=STEPS, updates=STEPS)
        run = store.runs.get(lease.run_id)
        assert (run.state, run.loss, run.step, run.error) == (RunState.SUCCEEDED, 0.25, STEPS, None)
        assert run.finished_at is not None
        job = store.jobs.get(job.id)
        assert (job.plan_due, job.updates_spent) == (True, STEPS)

    def test_no_loss_means_diverged(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        store.leases.finish(lease, loss=None, step=12, updates=12, reason="loss is NaN at update 12")
        run = store.runs.get(lease.run_id)
        assert (run.state, run.loss, run.step) == (RunState.DIVERGED, None, 12)
        assert run.error == "loss is NaN at update 12"

    @pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
    def test_a_loss_that_is_no_number_is_refused(self, bench: Bench, store: Store, loss: float) -> None:
        bench.running_job()
        lease = bench.claim()
        with pytest.raises(InvalidValue, match="loss must be finite, or None for a run that diverged"):
            store.leases.finish(lease, loss=loss, step=STEPS, updates=0)
        assert store.runs.get(lease.run_id).state is RunState.LEASED

    def test_a_result_is_recorded_once(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        store.leases.finish(lease, loss=0.25, step=STEPS, updates=STEPS)
        with pytest.raises(LeaseLost):
            store.leases.finish(lease, loss=0.5, step=STEPS, updates=STEPS)
        assert store.runs.get(lease.run_id).loss == 0.25


class TestFail:
    def test_a_failure_for_good_keeps_its_reason(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        lease = bench.claim()
        store.leases.fail(lease, reason="ValueError: no such layer\x00\ud800", retry=False, updates=3)
        run = store.runs.get(lease.run_id)
        assert (run.state, run.error) == (RunState.FAILED, "ValueError: no such layer\\x00\\ud800")
        job = store.jobs.get(job.id)
        assert (job.plan_due, job.updates_spent) == (True, 3)

    def test_a_very_long_traceback_keeps_its_ends(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        store.leases.fail(lease, reason="first" + "x" * 1_000_000 + "last", retry=False)
        error = store.runs.get(lease.run_id).error or ""
        assert error.startswith("first")
        assert error.endswith("last")
        assert len(error) < 21_000

    def test_a_failure_to_try_again_goes_back_until_the_attempts_are_used_up(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        for attempt in range(1, MAX_FAILED_ATTEMPTS + 1):
            lease = bench.claim()
            assert lease.attempt == attempt
            store.leases.fail(lease, reason="out of memory", retry=True)
        run = store.runs.get(lease.run_id)
        assert (run.state, run.failed_attempts, run.lost_attempts) == (RunState.FAILED, MAX_FAILED_ATTEMPTS, 0)
        assert run.error == f"given up after {MAX_FAILED_ATTEMPTS} failed attempts: out of memory"
        assert bench.nothing_to_claim()

    def test_lost_attempts_between_them_do_not_count_as_failed(
        self, bench: Bench, store: Store, expire: Expire
    ) -> None:
        job = bench.running_job()
        for _ in range(MAX_FAILED_ATTEMPTS - 1):
            store.leases.fail(bench.claim(), reason="a crash", retry=True)
            expire(bench.claim().run_id)
            store.reaper.reap()
            store.leases.lose(bench.claim(), reason="the node is gone")
            store.leases.release(bench.claim())
        (run,) = store.runs.list(job.id).items
        assert (run.state, run.attempts, run.failed_attempts, run.lost_attempts) == (RunState.QUEUED, 8, 2, 4)
        counted = store.jobs.get(job.id)
        assert (counted.failed_attempts, counted.lost_attempts) == (2, 4)

    def test_a_requeued_run_says_how_its_attempt_ended(self, bench: Bench, store: Store, expire: Expire) -> None:
        job = bench.running_job()
        store.leases.fail(bench.claim(), reason="a crash", retry=True)
        expire(bench.claim().run_id)
        store.reaper.reap()
        store.leases.release(bench.claim())
        requeued = [event.data for event in store.events.after(0, job_id=job.id) if event.kind == "run.requeued"]
        assert [(data["end"], data["failed_attempts"], data["lost_attempts"]) for data in requeued] == [
            ("failed", 1, 0),
            ("lost", 1, 1),
            ("returned", 1, 1),
        ]


class TestReleaseAndTakeBack:
    def test_a_released_attempt_has_neither_failed_nor_been_lost_and_its_number_is_not_used_again(
        self, bench: Bench, store: Store
    ) -> None:
        bench.running_job()
        for attempt in range(1, MAX_FAILED_ATTEMPTS + LOST_ATTEMPTS + 2):
            lease = bench.claim()
            assert lease.attempt == attempt
            store.leases.release(lease)
        run = store.runs.get(lease.run_id)
        assert (run.state, run.worker, run.failed_attempts, run.lost_attempts) == (RunState.QUEUED, None, 0, 0)

    def test_a_run_taken_up_again_starts_from_its_last_snapshot(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        store.leases.save_snapshot(lease, SnapshotRef(step=30, path="/data/a"))
        store.leases.save_snapshot(lease, SnapshotRef(step=60, path="/data/b"))
        store.leases.release(lease, updates=5)
        assert bench.claim("w2").snapshot == SnapshotRef(step=60, path="/data/b")

    def test_the_updates_that_lead_to_a_snapshot_count_though_the_worker_dies_after_it(
        self, bench: Bench, store: Store, expire: Expire
    ) -> None:
        job = bench.running_job()
        for attempt in range(1, 5):
            lease = bench.claim()
            store.leases.save_snapshot(lease, SnapshotRef(step=20 * attempt, path="/data/a"), updates=20)
            if attempt < 4:
                expire(lease.run_id)
                store.reaper.reap()
        store.leases.finish(lease, loss=0.25, step=STEPS, updates=STEPS - 20 * 4)
        assert store.jobs.get(job.id).updates_spent == STEPS

    def test_a_refused_snapshot_is_not_kept_and_its_updates_do_not_count(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        lease = bench.claim()
        with pytest.raises(InvalidValue, match="updates must be at least 0"):
            store.leases.save_snapshot(lease, SnapshotRef(step=30, path="/data/a"), updates=-1)
        with pytest.raises(InvalidValue, match=rf"step must be in \[0, {STEPS}\]"):
            store.leases.save_snapshot(lease, SnapshotRef(step=STEPS + 1, path="/data/a"), updates=30)
        store.leases.release(lease)
        assert (bench.claim().snapshot, store.jobs.get(job.id).updates_spent) == (None, 0)

    def test_a_restarted_worker_frees_what_it_held_and_nothing_else(self, bench: Bench, store: Store) -> None:
        bench.running_job(runs=3)
        held = [bench.claim("w1"), bench.claim("w1")]
        other = bench.claim("w2")
        assert store.reaper.free_worker("w1") == 2
        assert [bench.claim("w1").run_id for _ in held] == [lease.run_id for lease in held]
        assert [store.runs.get(lease.run_id).attempts for lease in held] == [2, 2]
        assert store.leases.heartbeat(other, lease_seconds=60.0).expires_at > 0
        for lease in held:
            with pytest.raises(LeaseLost):
                store.leases.heartbeat(lease, lease_seconds=60.0)

    def test_a_restarted_worker_lets_go_of_its_study_lock_too(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        bench.lock("w1")
        assert claim_lock(store, offer("w2")) is None
        assert store.reaper.free_worker("w1") == 0
        assert bench.lock("w2").job_id == job.id

    def test_a_run_that_kills_its_worker_every_time_is_given_up_in_the_end(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        for _ in range(5):
            lease = bench.claim("w1")
            assert store.reaper.free_worker("w1", lost_limit=5) == 1
        run = store.runs.get(lease.run_id)
        assert (run.state, run.failed_attempts, run.lost_attempts) == (RunState.FAILED, 0, 5)
        assert (run.error or "").startswith(
            "given up after 5 attempts in a row that lost their worker before a snapshot"
        )
        assert (run.error or "").endswith("then retry the job: worker w1 started anew (worker w1, update 0)")


def test_events_tell_the_life_of_a_run_in_order(bench: Bench, store: Store, expire: Expire) -> None:
    job = bench.running_job()
    expire(bench.claim().run_id)
    store.reaper.reap()
    lease = bench.claim()
    store.leases.heartbeat(lease, points=[point(30)], updates=30, lease_seconds=60.0)
    store.leases.finish(lease, loss=0.25, step=STEPS, updates=60)
    told = ["job.submitted", "job.started", "trial.started", "run.queued", "run.started", "run.requeued"]
    assert bench.kinds(job.id) == [*told, "run.started", "run.evaluated", "run.succeeded"]
    events = store.events.after(0, job_id=job.id)
    assert events[-1].data["value"] == 0.25
    assert events[-2].data | {"step": 30, "total_steps": STEPS, "value": 0.5, "trial": 0} == events[-2].data


def test_a_job_keeps_the_version_that_was_offered_when_it_was_submitted(bench: Bench, store: Store) -> None:
    bench.running_job()
    newer = OFFER.__class__(**{**OFFER.__dict__, "version": "2"})
    announce(store, "w2", device="cpu", workloads=[newer])
    assert claim_run(store, offer("w2", workloads={"digits-mlp": "2"})) is None
    assert bench.claim("w1").workload_version == "1"
