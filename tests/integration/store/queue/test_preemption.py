"""Urgent jobs and the runs that stop for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.store.builders import Bench, announce, offer, spec
from tuner.jobs.records import LeasedRun
from tuner.people.records import TeamSettings
from tuner.store import Store

Sql = Callable[..., list[Any]]


@pytest.fixture
def busy(bench: Bench, store: Store) -> LeasedRun:
    """A run of an ordinary job, on the only worker there is."""
    bench.ready_job(runs=2)
    return bench.claim("w1")


def stop_reason(store: Store, lease: LeasedRun) -> str | None:
    return store.leases.heartbeat(lease, lease_seconds=60.0).stop


def test_an_urgent_job_has_a_lower_run_stopped_and_gets_its_worker(bench: Bench, store: Store, busy: LeasedRun) -> None:
    urgent = bench.ready_job(priority="high")
    assert store.reaper.preempt() == 1
    assert stop_reason(store, busy) == f"pre-empted by job {urgent.id}"
    assert store.reaper.preempt() == 0, "one stops already"
    store.leases.release(busy)
    assert bench.claim().job_id == urgent.id
    after = store.runs.get(busy.run_id)
    assert (after.failed_attempts, after.lost_attempts, after.stop_reason) == (0, 0, None)
    assert "run.stopping" in bench.kinds(busy.job_id)
    assert store.reaper.preempt() == 0


def test_planning_that_is_due_is_urgent_work_too(bench: Bench, store: Store, busy: LeasedRun) -> None:
    store.jobs.submit(spec(priority="high"))
    assert store.reaper.preempt() == 1


def test_nothing_stops_while_a_worker_is_idle(bench: Bench, store: Store, busy: LeasedRun) -> None:
    announce(store, "w2")
    bench.ready_job(priority="high")
    assert store.reaper.preempt() == 0
    store.workers.set_worker("w2", draining=True)
    assert store.reaper.preempt() == 1


def test_a_worker_that_left_is_not_idle(bench: Bench, store: Store, busy: LeasedRun) -> None:
    announce(store, "w2")
    store.workers.retire("w2")
    bench.ready_job(priority="high")
    assert store.reaper.preempt() == 1


@pytest.mark.parametrize("priority", ["low", "normal"])
def test_only_the_highest_class_stops_others(bench: Bench, store: Store, priority: str) -> None:
    bench.ready_job(priority="low")
    bench.claim()
    bench.ready_job(priority=priority)
    assert store.reaper.preempt() == 0


def test_a_run_of_the_same_class_goes_on(bench: Bench, store: Store) -> None:
    bench.ready_job(priority="high")
    bench.claim()
    bench.ready_job(priority="high")
    assert store.reaper.preempt() == 0


def test_a_team_that_may_not_run_more_stops_nobody(bench: Bench, store: Store) -> None:
    store.people.put_team("vision", TeamSettings(highest_priority="high", max_running_runs=1))
    store.people.put_team("default", TeamSettings())
    for name in ("w2", "w3"):
        announce(store, name)
    bench.ready_job(runs=3)
    held = [bench.claim(name) for name in ("w1", "w2", "w3")]
    bench.ready_job(team="vision", priority="high", runs=3)
    assert store.reaper.preempt() == 1
    stopped = next(lease for lease in held if stop_reason(store, lease))
    store.leases.release(stopped)
    taken = store.queue.claim(offer(str(store.runs.get(held[0].run_id).worker)), lease_seconds=60.0, lock_seconds=60.0)
    assert isinstance(taken, LeasedRun)
    assert store.reaper.preempt() == 0


def test_a_run_on_a_worker_that_went_silent_is_left_to_the_reaper(
    bench: Bench, store: Store, busy: LeasedRun, sql: Sql
) -> None:
    bench.ready_job(priority="high")
    sql("UPDATE tuner_workers SET heartbeat_at = 1.0")
    assert store.reaper.preempt() == 0
