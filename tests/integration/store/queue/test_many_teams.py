"""Many workers and several teams at once: limits hold, shares follow weights, nothing locks up."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.integration.store.builders import STEPS, Bench, announce, claim_run, offer, point
from tuner.errors import LeaseLost
from tuner.jobs.records import LeasedRun
from tuner.jobs.states import RunState
from tuner.people.records import TeamSettings
from tuner.store import Store

Sql = Callable[..., list[Any]]
WORKERS = 8


def at_once(action: Callable[[int], object], *, threads: int = WORKERS) -> None:
    barrier = threading.Barrier(threads)

    def together(number: int) -> None:
        barrier.wait(timeout=30)
        action(number)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(together, range(threads)))


def test_limits_of_teams_and_users_are_never_exceeded(bench: Bench, store: Store) -> None:
    store.people.put_team("speech", TeamSettings(max_running_runs=2))
    store.people.put_team("vision", TeamSettings(max_running_runs=3, user_max_running_runs=2))
    jobs = {bench.ready_job(team="speech", by="ada", runs=8).id: ("speech", "ada")}
    for owner in ("ben", "eve"):
        jobs[bench.ready_job(team="vision", by=owner, runs=6).id] = ("vision", owner)
    guard = threading.Lock()
    running: Counter[tuple[str, str]] = Counter()
    most: defaultdict[str, int] = defaultdict(int)
    done: Counter[str] = Counter()

    def note(lease: LeasedRun, *, change: int) -> None:
        # Noted after a claim and before an end: what is counted here is never more than what the database holds.
        with guard:
            team, owner = jobs[lease.job_id]
            running[team, owner] += change
            most[owner] = max(most[owner], running[team, owner])
            most[team] = max(most[team], sum(runs for (of, _), runs in running.items() if of == team))

    def work(number: int) -> None:
        idle = 0
        while idle < 20:
            lease = claim_run(store, offer(f"t{number}"))
            if lease is None:
                idle += 1
                continue
            note(lease, change=1)
            store.leases.heartbeat(lease, points=[point(30)], updates=30, lease_seconds=60.0)
            note(lease, change=-1)
            store.leases.finish(lease, loss=0.5, step=STEPS, updates=60)
            with guard:
                done[lease.run_id] += 1

    at_once(work)
    while lease := claim_run(store, offer()):  # what was left when everybody had waited long enough
        store.leases.finish(lease, loss=0.5, step=STEPS, updates=STEPS)
        done[lease.run_id] += 1
    assert set(done.values()) == {1}
    assert len(done) == 8 + 2 * 6
    assert most["speech"] <= 2
    assert most["vision"] <= 3
    assert max(most["ben"], most["eve"]) <= 2


def test_claims_that_come_at_once_are_shared_by_weight(bench: Bench, store: Store) -> None:
    weights = {"speech": 1.0, "text": 2.0, "vision": 3.0}
    jobs = {}
    for team, weight in weights.items():
        store.people.put_team(team, TeamSettings(weight=weight))
        for _ in range(2):
            jobs[bench.ready_job(team=team, runs=15).id] = team
    taken: list[str] = []

    def work(number: int) -> None:
        for _ in range(6):
            lease = claim_run(store, offer(f"t{number}"))
            assert lease is not None
            taken.append(jobs[lease.job_id])

    at_once(work)
    shares = Counter(taken)
    assert shares == {"speech": 8, "text": 16, "vision": 24}


def test_everything_that_the_queue_does_at_once_locks_nothing_up(bench: Bench, store: Store, sql: Sql) -> None:
    for team in ("speech", "vision"):
        store.people.put_team(team, TeamSettings(highest_priority="high"))
    jobs = [bench.ready_job(team="speech", runs=6).id, bench.ready_job(team="vision", runs=6).id]
    for number in range(WORKERS):
        announce(store, f"t{number}")
    urgent = bench.ready_job(team="vision", runs=3, priority="high").id
    results: Counter[str] = Counter()

    def work(number: int) -> None:
        while lease := claim_run(store, offer(f"t{number}")):
            try:
                status = store.leases.heartbeat(lease, points=[point(30)], updates=30, lease_seconds=60.0)
                store.leases.append_log(lease, "a line\n")
                if status.stop is None:
                    store.leases.finish(lease, loss=0.5, step=STEPS, updates=60)
                    results[lease.run_id] += 1
                else:
                    store.leases.release(lease)
            except LeaseLost:
                continue

    def disturb(number: int) -> None:
        for _ in range(5):
            store.reaper.preempt()
            store.reaper.enforce_limits()
            sql("UPDATE tuner_runs SET lease_expires_at = 1.0 WHERE lease_token IS NOT NULL AND worker = 't1'")
            store.reaper.reap()
            store.jobs.pause(jobs[0])
            store.queue.view()
            store.jobs.resume(jobs[0])
            store.workers.set_worker("t2", draining=number % 2 == 0)

    at_once(lambda number: (disturb if number >= WORKERS - 2 else work)(number))
    store.jobs.resume(jobs[0])
    work(0)
    for job_id in (*jobs, urgent):
        runs = store.runs.list(job_id).items
        assert {run.state for run in runs} <= {RunState.SUCCEEDED, RunState.FAILED}
        assert all(results[run.id] == (run.state is RunState.SUCCEEDED) for run in runs)
        used = sum(run.device_seconds for run in runs)
        assert abs(store.jobs.get(job_id).device_seconds - used) < 1e-6
    total = sum(row.device_seconds for row in sql("SELECT device_seconds FROM tuner_usage"))
    assert abs(total - sum(store.jobs.get(job_id).device_seconds for job_id in (*jobs, urgent))) < 1e-6
