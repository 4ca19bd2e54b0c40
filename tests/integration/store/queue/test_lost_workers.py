"""Leases that expire, and workers that come back after it: the same on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.integration.store.builders import (
    STEPS,
    Bench,
    point,
)
from tuner.errors import LeaseLost
from tuner.jobs.attempts import LOST_ATTEMPTS
from tuner.jobs.records import LeasedRun, SnapshotRef
from tuner.jobs.states import RunState
from tuner.store import Reaped, Store
from tuner.store.db.engine import connect, parse_url


@contextmanager
def closing_engine(url: str) -> Iterator[Engine]:
    """Connections of another process."""
    engine = connect(parse_url(url))
    yield engine
    engine.dispose()


Expire = Callable[[str], None]
Sql = Callable[..., list[Any]]


class TestReap:
    def test_a_lease_in_its_time_is_left_alone(self, bench: Bench, store: Store) -> None:
        bench.running_job()
        lease = bench.claim()
        assert store.reaper.reap() == Reaped(requeued=0, failed=0)
        assert store.leases.heartbeat(lease, lease_seconds=60.0).expires_at > 0

    def test_a_run_whose_lease_expired_is_claimed_again_in_its_old_place(
        self, bench: Bench, store: Store, expire: Expire
    ) -> None:
        job = bench.running_job(runs=2)
        lease = bench.claim()
        store.leases.save_snapshot(lease, SnapshotRef(step=30, path="/data/a"))
        expire(lease.run_id)
        assert store.reaper.reap() == Reaped(requeued=1, failed=0)
        assert store.jobs.get(job.id).plan_due
        again = bench.claim("w2")
        assert (again.run_id, again.attempt, again.snapshot) == (lease.run_id, 2, SnapshotRef(step=30, path="/data/a"))

    def test_the_last_lease_that_may_be_lost_in_a_row_fails_the_run_and_says_what_to_do(
        self, bench: Bench, store: Store, expire: Expire
    ) -> None:
        job = bench.running_job()
        for _ in range(LOST_ATTEMPTS - 1):
            expire(bench.claim().run_id)
            assert store.reaper.reap() == Reaped(requeued=1, failed=0)
        lease = bench.claim()
        expire(lease.run_id)
        assert store.reaper.reap() == Reaped(requeued=0, failed=1)
        run = store.runs.get(lease.run_id)
        assert (run.state, run.failed_attempts, run.lost_attempts) == (RunState.FAILED, 0, LOST_ATTEMPTS)
        assert run.error == (
            f"given up after {LOST_ATTEMPTS} attempts in a row that lost their worker before a snapshot moved on "
            "(TUNER_LOST_ATTEMPTS allows no more): see to the machines or shorten TUNER_SNAPSHOT_INTERVAL, "
            "then retry the job: its lease expired (worker w1, update 0)"
        )
        assert store.jobs.get(job.id).plan_due

    def test_a_run_whose_snapshots_move_on_outlives_any_number_of_lost_leases(
        self, bench: Bench, store: Store, expire: Expire
    ) -> None:
        bench.running_job()
        for step in range(1, STEPS):
            for _ in range(2):
                lease = bench.claim()
                store.leases.save_snapshot(lease, SnapshotRef(step=step, path="/data/a"))
                expire(lease.run_id)
                assert store.reaper.reap(lost_limit=3) == Reaped(requeued=1, failed=0)
        assert store.runs.get(lease.run_id).lost_attempts == 2 * (STEPS - 1)
        expire(bench.claim().run_id)
        assert store.reaper.reap(lost_limit=3) == Reaped(requeued=0, failed=1)

    def test_leases_of_several_jobs_are_reaped_at_once(self, bench: Bench, store: Store, sql: Sql) -> None:
        for _ in range(3):
            bench.running_job(runs=2)
        for _ in range(6):
            bench.claim()
        sql("UPDATE tuner_runs SET lease_expires_at = 1.0")
        assert store.reaper.reap() == Reaped(requeued=6, failed=0)

    def test_code_that_keeps_its_own_checkpoints_moves_on_with_its_reports(
        self, bench: Bench, store: Store, expire: Expire
    ) -> None:
        bench.running_job()
        for step in (0, 10, 10, 20, 20, 30, 30):
            lease = bench.claim()
            store.leases.heartbeat(lease, points=[point(step)], lease_seconds=60.0)
            expire(lease.run_id)
            assert store.reaper.reap(lost_limit=3) == Reaped(requeued=1, failed=0)
        lease = bench.claim()
        store.leases.heartbeat(lease, points=[point(30)], lease_seconds=60.0)
        expire(lease.run_id)
        assert store.reaper.reap(lost_limit=3) == Reaped(requeued=0, failed=1)

    def test_leases_are_reaped_beside_one_whose_rows_a_stopped_process_has_locked(
        self, bench: Bench, store: Store, sql: Sql, url: str
    ) -> None:
        if not url.startswith("postgresql"):
            pytest.skip("SQLite has one writer at a time")
        stuck, run_stuck, free = (bench.running_job() for _ in range(3))
        leases = {lease.job_id: lease for lease in (bench.claim() for _ in range(3))}
        sql("UPDATE tuner_runs SET lease_expires_at = 1.0")
        with closing_engine(url) as engine, engine.begin() as stopped:
            stopped.execute(text("SELECT 1 FROM tuner_jobs WHERE id = :id FOR UPDATE"), {"id": stuck.id})
            locked = {"id": leases[run_stuck.id].run_id}
            stopped.execute(text("SELECT 1 FROM tuner_runs WHERE id = :id FOR UPDATE"), locked)
            assert store.reaper.reap() == Reaped(requeued=1, failed=0)
            assert store.runs.get(leases[free.id].run_id).state is RunState.QUEUED
            assert store.runs.get(leases[stuck.id].run_id).state is RunState.LEASED
        assert store.reaper.reap() == Reaped(requeued=2, failed=0)

    def test_an_expired_lease_that_nobody_freed_still_takes_the_result(
        self, bench: Bench, store: Store, expire: Expire
    ) -> None:
        bench.running_job()
        lease = bench.claim()
        expire(lease.run_id)
        store.leases.finish(lease, loss=0.25, step=STEPS, updates=STEPS)
        assert store.reaper.reap() == Reaped(requeued=0, failed=0)
        assert store.runs.get(lease.run_id).state is RunState.SUCCEEDED


LATE: dict[str, Callable[[Store, LeasedRun], object]] = {
    "heartbeat": lambda store, lease: store.leases.heartbeat(lease, points=[point(30)], updates=30, lease_seconds=60.0),
    "save_snapshot": lambda store, lease: store.leases.save_snapshot(
        lease, SnapshotRef(step=30, path="/data/late"), updates=3
    ),
    "finish": lambda store, lease: store.leases.finish(lease, loss=0.1, step=STEPS, updates=STEPS),
    "finish diverged": lambda store, lease: store.leases.finish(lease, loss=None, step=3, updates=3),
    "fail": lambda store, lease: store.leases.fail(lease, reason="late", retry=False, updates=3),
    "fail with retry": lambda store, lease: store.leases.fail(lease, reason="late", retry=True, updates=3),
    "lose": lambda store, lease: store.leases.lose(lease, reason="late", updates=3),
    "release": lambda store, lease: store.leases.release(lease, updates=3),
}


class TestLateWriters:
    @pytest.mark.parametrize("verb", LATE)
    def test_a_worker_whose_run_was_freed_and_taken_is_refused(
        self, bench: Bench, store: Store, expire: Expire, verb: str
    ) -> None:
        job = bench.running_job()
        late = bench.claim("w1")
        expire(late.run_id)
        store.reaper.reap()
        holder = bench.claim("w2")
        before = (store.runs.get(late.run_id), bench.kinds(job.id), store.jobs.get(job.id).updates_spent)
        with pytest.raises(LeaseLost, match=f"the lease on run {late.run_id} is no longer held"):
            LATE[verb](store, late)
        assert (store.runs.get(late.run_id), bench.kinds(job.id), store.jobs.get(job.id).updates_spent) == before
        assert store.runs.curve(late.run_id) == ()
        store.leases.release(holder)
        assert bench.claim().snapshot is None

    @pytest.mark.parametrize("verb", LATE)
    def test_a_worker_whose_run_waits_in_the_queue_again_is_refused(
        self, bench: Bench, store: Store, expire: Expire, verb: str
    ) -> None:
        bench.running_job()
        late = bench.claim("w1")
        expire(late.run_id)
        store.reaper.reap()
        with pytest.raises(LeaseLost):
            LATE[verb](store, late)
        assert store.runs.get(late.run_id).state is RunState.QUEUED

    @pytest.mark.parametrize("verb", LATE)
    def test_a_worker_whose_job_was_cancelled_is_refused(self, bench: Bench, store: Store, verb: str) -> None:
        job = bench.running_job()
        lease = bench.claim()
        store.jobs.cancel(job.id, reason="not needed")
        with pytest.raises(LeaseLost):
            LATE[verb](store, lease)
        assert store.runs.get(lease.run_id).state is RunState.CANCELLED
