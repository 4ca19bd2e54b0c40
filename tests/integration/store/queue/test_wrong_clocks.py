"""A clock that was ahead: what it stored is not trusted for as long as it was wrong. SQLite has no clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.store.builders import OFFER, Bench, announce, claim_lock, offer, spec
from tests.integration.store.webhooks.builders import new
from tuner.errors import LeaseLost
from tuner.jobs.records import StudyLock
from tuner.store import Reaped, Store

Sql = Callable[..., list[Any]]

TWO_DAYS = 172_800.0
AN_HOUR = 3_600.0


@pytest.mark.parametrize("ahead", [AN_HOUR, TWO_DAYS])
def test_a_lease_from_a_clock_that_was_ahead_is_void(bench: Bench, store: Store, sql: Sql, ahead: float) -> None:
    bench.running_job()
    lease = bench.claim()
    sql(
        "UPDATE tuner_runs SET lease_expires_at = lease_expires_at + :ahead, accounted_at = accounted_at + :ahead",
        ahead=ahead,
    )
    assert store.reaper.reap() == Reaped(requeued=1, failed=0)
    with pytest.raises(LeaseLost):
        store.leases.heartbeat(lease, lease_seconds=60.0)
    assert bench.claim("w2").run_id == lease.run_id


def test_a_lease_that_ends_later_than_any_may_last_is_void_whenever_it_was_extended(
    bench: Bench, store: Store, sql: Sql
) -> None:
    bench.running_job()
    lease = bench.claim(lease_seconds=AN_HOUR)
    assert store.reaper.reap() == Reaped(requeued=0, failed=0)
    sql("UPDATE tuner_runs SET lease_expires_at = lease_expires_at + 120")
    assert store.reaper.reap() == Reaped(requeued=1, failed=0)
    assert store.runs.get(lease.run_id).lost_attempts == 1


def test_a_clock_that_is_set_back_by_seconds_voids_no_lease(bench: Bench, store: Store, sql: Sql) -> None:
    bench.running_job()
    bench.claim(lease_seconds=AN_HOUR)
    sql("UPDATE tuner_runs SET lease_expires_at = lease_expires_at + 30, accounted_at = accounted_at + 30")
    assert store.reaper.reap() == Reaped(requeued=0, failed=0)


def test_a_study_lock_from_a_clock_that_was_ahead_is_void(store: Store, sql: Sql, bench: Bench) -> None:
    job = store.jobs.submit(spec())
    bench.lock("w1")
    assert claim_lock(store, offer("w2")) is None
    sql("UPDATE tuner_jobs SET lock_expires_at = lock_expires_at + :ahead", ahead=TWO_DAYS)
    lock = store.queue.claim(offer("w2"), lease_seconds=60.0, lock_seconds=60.0)
    assert isinstance(lock, StudyLock)
    assert lock.job_id == job.id


def test_a_heartbeat_from_the_future_is_no_sign_of_life(store: Store, sql: Sql) -> None:
    announce(store, "gone", workloads=[OFFER])
    assert store.workers.worker("gone").alive
    counted = store.metrics.gauges().workers
    sql("UPDATE tuner_workers SET heartbeat_at = heartbeat_at + :ahead WHERE name = 'gone'", ahead=TWO_DAYS)
    assert not store.workers.worker("gone").alive
    now = store.metrics.gauges().workers
    assert (now["idle"], now["lost"]) == (counted["idle"] - 1, counted["lost"] + 1)
    store.workers.forget("gone")


def test_a_future_record_of_device_time_does_not_stop_its_count(bench: Bench, store: Store, sql: Sql) -> None:
    bench.running_job()
    lease = bench.claim(lease_seconds=600.0)
    sql("UPDATE tuner_runs SET accounted_at = accounted_at + :ahead", ahead=TWO_DAYS)
    store.leases.heartbeat(lease, lease_seconds=600.0)
    (before,) = sql("SELECT accounted_at FROM tuner_runs")
    assert before[0] <= store.now()
    sql("UPDATE tuner_runs SET accounted_at = accounted_at - 100")
    store.leases.heartbeat(lease, lease_seconds=600.0)
    assert store.runs.get(lease.run_id).device_seconds >= 100.0


@pytest.mark.parametrize("state", ["pending", "sending"])
def test_a_delivery_that_is_put_off_longer_than_any_is_due(store: Store, sql: Sql, state: str) -> None:
    store.webhooks.create(new())
    store.jobs.submit(spec())
    store.deliveries.enqueue()
    sql("UPDATE tuner_deliveries SET state = :state, due_at = due_at + :ahead", state=state, ahead=TWO_DAYS)
    due = store.deliveries.claim(hold_seconds=30.0)
    assert due is not None
    assert store.deliveries.claim(hold_seconds=30.0) is None


def test_the_use_of_a_token_is_recorded_though_the_last_one_lies_in_the_future(store: Store, sql: Sql) -> None:
    made = store.people.recover_admin()
    store.people.authenticate(made)
    sql("UPDATE tuner_tokens SET last_used_at = last_used_at + :ahead", ahead=TWO_DAYS)
    store.people.authenticate(made)
    ((used,),) = sql("SELECT last_used_at FROM tuner_tokens")
    assert used <= store.now()
