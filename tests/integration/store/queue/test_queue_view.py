"""The queue as people see it."""

from __future__ import annotations

from typing import Any

from tests.integration.store.builders import STEPS, Bench, announce, spec
from tuner.jobs.records import QueueEntry
from tuner.jobs.spec import Resources
from tuner.people.permissions import Visibility
from tuner.people.records import TeamSettings
from tuner.store import Store


def team(store: Store, name: str, **settings: Any) -> None:
    store.people.put_team(name, TeamSettings(**{"highest_priority": "high"} | settings))


def told(store: Store) -> list[tuple[str, int | None, str]]:
    return [(entry.name, entry.position, entry.reason) for entry in store.queue.view()]


def entry_of(store: Store, job_id: str) -> QueueEntry:
    (entry,) = (entry for entry in store.queue.view() if entry.job_id == job_id)
    return entry


def test_an_empty_queue_has_no_entries(store: Store) -> None:
    assert store.queue.view() == ()
    assert store.queue.shares() == ()


def test_jobs_stand_in_the_order_of_their_turns_and_say_why(bench: Bench, store: Store) -> None:
    for name in ("speech", "vision"):
        team(store, name)
    for name, of in (("a", "vision"), ("b", "vision"), ("c", "vision"), ("d", "speech")):
        bench.ready_job(name=name, team=of)
    bench.ready_job(name="e", team="vision", priority="high")
    assert told(store) == [
        ("e", 1, "next in the queue"),
        ("d", 2, "behind 1 job of team vision"),
        ("a", 3, "behind 1 job of its own team and 1 job of team speech"),
        ("b", 4, "behind 2 jobs of its own team and 1 job of team speech"),
        ("c", 5, "behind 3 jobs of its own team and 1 job of team speech"),
    ]


def test_the_first_is_the_job_that_the_next_claim_gives(bench: Bench, store: Store) -> None:
    for name in ("speech", "vision"):
        team(store, name, weight=2.0)
        for _ in range(2):
            bench.ready_job(team=name, runs=2)
    for _ in range(8):
        first = store.queue.view()[0]
        assert first.position == 1
        assert bench.claim().job_id == first.job_id
    assert {entry.position for entry in store.queue.view()} == {None}


def test_what_nothing_is_ahead_of_but_a_limit_holds_is_not_called_next(bench: Bench, store: Store) -> None:
    team(store, "vision", max_running_runs=1)
    held = bench.ready_job(team="vision", runs=2)
    bench.claim()
    assert entry_of(store, held.id).reason == "its team runs 1 of its 1"


def test_a_limit_is_told_as_the_reason_and_goes_behind_those_without(bench: Bench, store: Store) -> None:
    team(store, "speech")
    team(store, "vision", max_running_runs=1)
    limited = bench.ready_job(name="limited", team="vision", runs=2)
    bench.claim()
    bench.ready_job(name="free", team="speech")
    bench.ready_job(name="free too", team="speech")
    entry = entry_of(store, limited.id)
    assert (entry.position, entry.running_runs) == (3, 1)
    assert entry.reason == (
        "1 run of it trains; its next run is behind 2 jobs of team speech; its team runs 1 of its 1"
    )


def test_work_that_no_worker_can_take_says_what_is_missing(bench: Bench, store: Store) -> None:
    plain = bench.ready_job(name="plain")
    greedy = bench.ready_job(name="greedy", resources=Resources(device="cuda", devices=2, memory_gib=24))
    reason = "no live worker that offers digits-mlp has 2 cuda devices with 24 GiB for its team"
    assert entry_of(store, greedy.id).reason == f"behind 1 job of its own team; {reason}"
    store.workers.set_worker("w1", draining=True)
    assert entry_of(store, plain.id).reason.endswith(
        "worker w1 could train it, but is draining: it takes no further run"
    )
    team(store, "vision")
    store.workers.set_worker("w1", draining=False, reserved_for="vision")
    reserved = "every worker that offers digits-mlp is reserved for another team"
    assert entry_of(store, plain.id).reason.endswith(reserved)
    store.workers.retire("w1")
    assert entry_of(store, plain.id).reason.endswith("no live worker offers digits-mlp in version 1")


def test_jobs_of_which_nothing_waits_have_no_position(bench: Bench, store: Store) -> None:
    trained = bench.ready_job(name="trained")
    bench.claim()
    planned = store.jobs.submit(spec(name="planned"))
    bench.lock()
    paused = bench.ready_job(name="paused")
    store.jobs.pause(paused.id)
    reasons = {name: (position, reason) for name, position, reason in told(store)}
    assert reasons == {
        "trained": (None, "everything that is ready of it is being trained"),
        "planned": (None, "it is being planned"),
        "paused": (None, "it is paused"),
    }
    assert entry_of(store, trained.id).running_runs == 1
    assert entry_of(store, planned.id).waiting_seconds >= 0.0


def test_jobs_that_are_over_are_not_in_the_queue(bench: Bench, store: Store) -> None:
    job = bench.ready_job()
    store.jobs.cancel(job.id, reason="enough")
    assert store.queue.view() == ()


def test_only_visible_jobs_are_told_of_and_positions_count_all(bench: Bench, store: Store) -> None:
    for name in ("speech", "vision"):
        team(store, name)
    bench.ready_job(name="theirs", team="vision")
    shared = bench.ready_job(name="shared", team="vision", shared=True)
    ours = bench.ready_job(name="ours", team="speech")
    seen = store.queue.view(visibility=Visibility(teams=frozenset({"speech"})))
    assert [(entry.job_id, entry.position) for entry in seen] == [(ours.id, 2), (shared.id, 3)]


def test_shares_are_told_against_weights(bench: Bench, store: Store) -> None:
    team(store, "idle", weight=5.0)
    for name, weight in (("speech", 1.0), ("vision", 3.0)):
        team(store, name, weight=weight)
        bench.ready_job(team=name, runs=4)
    announce(store, "w2")
    for _ in range(4):
        bench.claim()
    shares = {share.team: share for share in store.queue.shares()}
    assert list(shares) == ["idle", "speech", "vision"]
    assert (shares["vision"].running_runs, shares["speech"].running_runs) == (3, 1)
    assert abs(shares["vision"].share - 0.75) < 0.02
    assert (shares["idle"].weight, shares["idle"].device_seconds, shares["idle"].open_jobs) == (5.0, 0.0, 0)


def test_a_job_waits_since_it_was_submitted_or_its_oldest_run_came(bench: Bench, store: Store) -> None:
    job = bench.ready_job()
    lease = bench.claim()
    store.leases.finish(lease, loss=0.5, step=STEPS, updates=STEPS)
    assert entry_of(store, job.id).waiting_seconds == 0.0
