"""What people decide about workers, and how workers come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.store.builders import Bench, announce
from tuner.errors import IllegalTransition, NotFound
from tuner.jobs.spec import DEFAULT_TEAM
from tuner.people.permissions import Actor, Visibility
from tuner.people.records import TeamSettings
from tuner.store import Store

Sql = Callable[..., list[Any]]
ADA = Actor(user="ada")


def test_decisions_stand_until_others_are_made(store: Store) -> None:
    store.people.put_team("vision", TeamSettings())
    assert store.workers.set_worker("w1", draining=True).draining
    changed = store.workers.set_worker("w1", reserved_for="vision")
    assert (changed.draining, changed.reserved_for) == (True, "vision")
    announce(store, "w1")
    assert store.workers.worker("w1") == store.workers.workers()[0]
    assert store.workers.worker("w1").draining
    assert store.workers.set_worker("w1", draining=False).reserved_for == "vision"
    assert store.workers.set_worker("w1", reserved_for=None).reserved_for is None


def test_decisions_are_audited(store: Store, sql: Sql) -> None:
    store.workers.set_worker("w1", draining=True, reserved_for=DEFAULT_TEAM, by=ADA)
    store.workers.retire("w1")
    store.workers.forget("w1", by=ADA)
    told = [tuple(row) for row in sql("SELECT actor, action, target FROM tuner_audit ORDER BY id")]
    assert told == [("ada", "worker.change", "w1"), ("ada", "worker.forget", "w1")]


def test_where_no_team_exists_no_worker_is_reserved_for_one(store: Store) -> None:
    with pytest.raises(NotFound, match="there is no team 'vision'"):
        store.workers.set_worker("w1", reserved_for="vision")


def test_a_worker_is_reserved_only_for_a_team_that_there_is(store: Store) -> None:
    store.people.put_team("vision", TeamSettings())
    with pytest.raises(NotFound, match="there is no team 'visoin'"):
        store.workers.set_worker("w1", reserved_for="visoin")
    assert store.workers.set_worker("w1", reserved_for="vision").reserved_for == "vision"


def test_a_worker_that_nobody_knows_is_not_found(store: Store) -> None:
    for act in (store.workers.worker, store.workers.set_worker, store.workers.forget):
        with pytest.raises(NotFound, match="there is no worker 'w9'"):
            act("w9")


def test_only_what_is_gone_is_forgotten(bench: Bench, store: Store, sql: Sql) -> None:
    with pytest.raises(IllegalTransition, match="worker w1 is alive"):
        store.workers.forget("w1")
    bench.ready_job()
    lease = bench.claim("w1")
    sql("UPDATE tuner_workers SET heartbeat_at = 1.0")
    with pytest.raises(IllegalTransition, match="worker w1 is holding runs"):
        store.workers.forget("w1")
    store.leases.release(lease)
    store.workers.forget("w1")
    assert store.workers.workers() == ()


def test_a_worker_that_left_stays_on_the_list(store: Store) -> None:
    store.workers.retire("w1")
    assert not store.workers.worker("w1").alive
    announce(store, "w1")
    assert store.workers.worker("w1").alive


def test_runs_of_jobs_that_may_not_be_seen_are_not_named(bench: Bench, store: Store) -> None:
    bench.ready_job(team="vision")
    lease = bench.claim("w1")
    assert store.workers.worker("w1").runs == (lease.run_id,)
    others = Visibility(teams=frozenset({"speech"}))
    assert store.workers.worker("w1", visibility=others).runs == ()
    assert store.workers.workers(visibility=others)[0].runs == ()
