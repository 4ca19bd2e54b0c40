"""Whose turn it is, as a worker meets it: classes, shares, limits, needs, reservations, draining."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.store.builders import STEPS, Bench, announce, claim_run, offer
from tuner.devices import DeviceKind
from tuner.jobs.records import LeasedRun, StudyLock
from tuner.jobs.spec import Resources
from tuner.people.records import TeamSettings
from tuner.store import Store

Sql = Callable[..., list[Any]]


def team(store: Store, name: str, **settings: Any) -> None:
    store.people.put_team(name, TeamSettings(**{"highest_priority": "high"} | settings))


def teams_in_order(bench: Bench, number: int) -> list[str]:
    """Whose runs so many claims give."""
    return [bench.store.jobs.get(bench.claim().job_id).spec.team for _ in range(number)]


class TestShares:
    def test_the_teams_take_turns_while_their_runs_are_alike(self, bench: Bench, store: Store) -> None:
        team(store, "speech")
        team(store, "vision")
        bench.ready_job(team="speech", runs=4)
        bench.ready_job(team="vision", runs=2)
        assert teams_in_order(bench, 6) == ["speech", "vision", "speech", "vision", "speech", "speech"]

    def test_a_team_of_twice_the_weight_gets_twice_the_runs(self, bench: Bench, store: Store) -> None:
        team(store, "speech", weight=1.0)
        team(store, "vision", weight=2.0)
        bench.ready_job(team="speech", runs=9)
        bench.ready_job(team="vision", runs=9)
        assert Counter(teams_in_order(bench, 9)) == {"speech": 3, "vision": 6}

    def test_users_of_a_team_take_turns(self, bench: Bench, store: Store) -> None:
        bench.ready_job(by="ada", runs=3)
        bench.ready_job(by="ada", runs=3)
        bench.ready_job(by="ben", runs=2)
        owners = [store.jobs.get(bench.claim().job_id).owner for _ in range(4)]
        assert owners == ["ada", "ben", "ada", "ben"]

    def test_device_time_that_was_had_counts_and_is_forgotten_after_a_day(
        self, bench: Bench, store: Store, sql: Sql
    ) -> None:
        for name in ("speech", "vision"):
            team(store, name)
            bench.ready_job(team=name, runs=2)
        hour = int(store.now() // 3600)
        insert = "INSERT INTO tuner_usage VALUES ('speech', 'local', :hour, 1000.0, 1)"
        sql(insert, hour=hour - 23)
        assert teams_in_order(bench, 1) == ["vision"]
        sql("UPDATE tuner_usage SET hour = :hour WHERE team = 'speech'", hour=hour - 24)
        assert teams_in_order(bench, 1) == ["speech"]

    def test_a_higher_class_goes_first_whatever_the_shares(self, bench: Bench, store: Store, sql: Sql) -> None:
        for name in ("speech", "vision"):
            team(store, name)
        bench.ready_job(team="vision")
        bench.ready_job(team="speech", priority="high")
        insert = "INSERT INTO tuner_usage VALUES ('speech', 'local', :hour, 1000.0, 1)"
        sql(insert, hour=int(store.now() // 3600))
        assert teams_in_order(bench, 2) == ["speech", "vision"]


class TestLimits:
    def test_a_team_runs_no_more_than_it_may_at_a_time(self, bench: Bench, store: Store) -> None:
        team(store, "vision", max_running_runs=2)
        bench.ready_job(team="vision", runs=3)
        first = bench.claim()
        bench.claim()
        assert bench.nothing_to_claim()
        store.leases.finish(first, loss=0.5, step=STEPS, updates=STEPS)
        assert bench.claim() is not None

    def test_what_one_team_may_not_run_another_does(self, bench: Bench, store: Store) -> None:
        team(store, "speech", max_running_runs=0)
        team(store, "vision")
        bench.ready_job(team="speech", priority="high")
        bench.ready_job(team="vision")
        assert teams_in_order(bench, 1) == ["vision"]
        assert bench.nothing_to_claim()

    def test_a_user_runs_no_more_than_each_may(self, bench: Bench, store: Store) -> None:
        team(store, "vision", user_max_running_runs=1)
        bench.ready_job(team="vision", by="ada", runs=2)
        bench.ready_job(team="vision", by="ben", runs=2)
        assert {store.jobs.get(bench.claim().job_id).owner for _ in range(2)} == {"ada", "ben"}
        assert bench.nothing_to_claim()

    @pytest.mark.parametrize(
        ("settings", "used_by"),
        [({"device_hours_per_month": 1.0}, "somebody"), ({"user_device_hours_per_month": 1.0}, "local")],
    )
    def test_who_has_used_up_the_month_begins_nothing(
        self, bench: Bench, store: Store, sql: Sql, settings: dict[str, float], used_by: str
    ) -> None:
        team(store, "vision", **settings)
        bench.ready_job(team="vision")
        sql("INSERT INTO tuner_accounts VALUES ('vision', 'somebody')")
        hour = int(store.now() // 3600)
        insert = "INSERT INTO tuner_usage VALUES ('vision', :owner, :hour, 3600.0, 1)"
        sql(insert, owner=used_by, hour=hour)
        assert bench.nothing_to_claim()
        sql("UPDATE tuner_usage SET hour = :hour", hour=hour - 31 * 24)
        assert bench.claim() is not None

    def test_a_team_that_may_begin_nothing_still_has_its_jobs_ended(self, bench: Bench, store: Store) -> None:
        team(store, "vision")
        job = bench.ready_job(team="vision", runs=1)
        store.leases.finish(bench.claim(), loss=0.5, step=STEPS, updates=STEPS)
        team(store, "vision", max_running_runs=0)
        taken = store.queue.claim(offer(), lease_seconds=60.0, lock_seconds=60.0)
        assert isinstance(taken, StudyLock)
        assert taken.job_id == job.id

    def test_no_more_is_planned_for_a_team_that_may_not_begin_what_it_has(self, bench: Bench, store: Store) -> None:
        team(store, "vision", max_running_runs=1)
        bench.ready_job(team="vision", runs=3)
        store.leases.fail(bench.claim(), reason="it broke", retry=False)  # planning is due
        bench.claim()
        assert store.queue.claim(offer(), lease_seconds=60.0, lock_seconds=60.0) is None


NEEDS = {
    "a GPU": Resources(device="cuda"),
    "two devices": Resources(devices=2),
    "memory": Resources(memory_gib=16),
    "all": Resources(device="cuda", devices=2, memory_gib=16),
}
CAN = {
    "a GPU": offer("w2", kind=DeviceKind.CUDA),
    "two devices": offer("w2", devices=2),
    "memory": offer("w2", memory_bytes=16 * 2**30),
    "all": offer("w2", kind=DeviceKind.CUDA, devices=4, memory_bytes=24 * 2**30),
}


class TestNeeds:
    @pytest.mark.parametrize("what", NEEDS)
    def test_a_run_goes_only_to_a_worker_that_has_what_it_needs(self, bench: Bench, store: Store, what: str) -> None:
        bench.ready_job(resources=NEEDS[what])
        assert claim_run(store, offer("w1")) is None
        assert claim_run(store, offer("w1", memory_bytes=16 * 2**30 - 1)) is None
        assert claim_run(store, CAN[what]) is not None

    def test_a_job_that_asks_for_the_cpu_is_not_trained_on_a_gpu(self, bench: Bench, store: Store) -> None:
        bench.ready_job(resources=Resources(device="cpu"))
        assert claim_run(store, offer("w1", kind=DeviceKind.CUDA)) is None
        assert claim_run(store, offer("w1")) is not None

    def test_what_cannot_be_trained_here_does_not_hide_what_can(self, bench: Bench, store: Store) -> None:
        bench.ready_job(resources=Resources(device="cuda"), priority="high")
        modest = bench.ready_job()
        found = claim_run(store, offer())
        assert found is not None
        assert found.job_id == modest.id


class TestWorkersThatPeopleDecideAbout:
    def test_a_reserved_worker_takes_its_teams_jobs_alone(self, bench: Bench, store: Store) -> None:
        team(store, "speech")
        team(store, "vision")
        bench.ready_job(team="speech")
        store.workers.set_worker("w1", reserved_for="vision")
        assert bench.nothing_to_claim()
        mine = bench.ready_job(team="vision")
        assert bench.claim().job_id == mine.id
        store.workers.set_worker("w1", reserved_for=None)
        assert bench.claim() is not None

    def test_a_worker_that_drains_keeps_its_run_and_gets_no_other(self, bench: Bench, store: Store) -> None:
        bench.ready_job(runs=2)
        held = bench.claim()
        store.workers.set_worker("w1", draining=True)
        assert bench.nothing_to_claim()
        assert store.leases.heartbeat(held, lease_seconds=60.0).stop is None
        store.leases.finish(held, loss=0.5, step=STEPS, updates=STEPS)
        assert store.queue.claim(offer(), lease_seconds=60.0, lock_seconds=60.0) is None
        announce(store, "w1")
        assert bench.nothing_to_claim(), "a restart changes nothing"
        store.workers.set_worker("w1", draining=False)
        assert bench.claim() is not None


class TestJobsThatStandStill:
    def test_a_paused_job_gives_nothing_and_its_run_is_told_to_stop(self, bench: Bench, store: Store) -> None:
        job = bench.ready_job(runs=2)
        held = bench.claim()
        store.jobs.pause(job.id)
        assert store.queue.claim(offer(), lease_seconds=60.0, lock_seconds=60.0) is None
        assert store.leases.heartbeat(held, lease_seconds=60.0).stop == "the job is paused"
        store.leases.release(held)
        released = store.runs.get(held.run_id)
        assert (released.attempts, released.failed_attempts, released.lost_attempts) == (1, 0, 0)
        store.jobs.resume(job.id)
        assert bench.claim().run_id == held.run_id

    def test_a_job_at_its_limit_begins_nothing_and_is_planned(self, bench: Bench, store: Store, sql: Sql) -> None:
        job = bench.ready_job(runs=2)
        sql("UPDATE tuner_jobs SET limit_reached = 'enough', plan_due = :due", due=True)
        taken = store.queue.claim(offer(), lease_seconds=60.0, lock_seconds=60.0)
        assert isinstance(taken, StudyLock)
        assert taken.job_id == job.id
        assert store.queue.claim(offer(), lease_seconds=60.0, lock_seconds=60.0) is None


def test_a_run_goes_before_the_planning_of_its_job(bench: Bench, store: Store) -> None:
    bench.ready_job(runs=3)
    store.leases.finish(bench.claim(), loss=0.5, step=STEPS, updates=STEPS)
    given = [store.queue.claim(offer(), lease_seconds=60.0, lock_seconds=60.0) for _ in range(3)]
    assert [type(taken) for taken in given] == [LeasedRun, LeasedRun, StudyLock]


def test_one_job_may_be_asked_for_alone(bench: Bench, store: Store) -> None:
    bench.ready_job(priority="high")
    other = bench.ready_job(priority="low")
    taken = store.queue.claim(offer(), lease_seconds=60.0, lock_seconds=60.0, job_id=other.id)
    assert isinstance(taken, LeasedRun)
    assert taken.job_id == other.id
