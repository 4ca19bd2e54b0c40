"""Many at once: processes and threads on one database, of either kind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, TypeVar

import pytest
from sqlalchemy import event, text

from tests.integration.store.builders import OFFER, STEPS, Bench, announce, claim_lock, claim_run, offer, point, spec
from tuner.errors import IllegalTransition, LeaseLost
from tuner.jobs.admission.change import JobChange
from tuner.jobs.priority import Priority
from tuner.jobs.records import EventRecord
from tuner.jobs.states import JobState, RunState
from tuner.people.records import TeamSettings
from tuner.store import Store
from tuner.store.db import database
from tuner.store.db.database import Tx

Sql = Callable[..., list[Any]]
Result = TypeVar("Result")
THREADS = 6


def at_once(action: Callable[[int], Result], *, threads: int = THREADS) -> list[Result]:
    """What an action gives in several threads that start it together."""
    barrier = threading.Barrier(threads)

    def together(number: int) -> Result:
        barrier.wait(timeout=30)
        return action(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(together, range(threads)))


def test_processes_that_claim_at_once_get_every_run_once(bench: Bench, store: Store, url: str) -> None:
    jobs = [bench.running_job(runs=20) for _ in range(2)]
    command = [sys.executable, "-m", "tests.integration.store.claimer", url]
    claimers = [
        subprocess.Popen([*command, f"p{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    for claimer in claimers:
        assert claimer.stdout is not None
        assert claimer.stdout.readline() == "ready\n"
    outputs = []
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    for claimer in claimers:
        outputs.append(claimer.communicate(timeout=120)[0].split())
        assert claimer.returncode == 0
    claimed = [run_id for output in outputs for run_id in output]
    runs = [run for job in jobs for run in store.runs.list(job.id).items]
    assert Counter(claimed) == {run.id: 1 for run in runs}
    assert all(run.state is RunState.SUCCEEDED and run.failed_attempts + run.lost_attempts == 0 for run in runs)
    assert [store.jobs.get(job.id).updates_spent for job in jobs] == [20 * STEPS] * 2


def test_threads_that_claim_at_once_get_distinct_runs(bench: Bench, store: Store) -> None:
    bench.running_job(runs=THREADS - 1)
    leases = at_once(lambda number: claim_run(store, offer(f"t{number}")))
    claimed = [lease.run_id for lease in leases if lease is not None]
    assert len(claimed) == len(set(claimed)) == THREADS - 1


def test_one_of_many_planners_gets_the_study(bench: Bench, store: Store) -> None:
    store.jobs.submit(spec())
    locks = at_once(lambda number: claim_lock(store, offer(f"t{number}")))
    assert sum(lock is not None for lock in locks) == 1


def test_the_same_request_sent_many_times_at_once_is_one_job(bench: Bench, store: Store) -> None:
    jobs = at_once(lambda number: store.jobs.submit(spec(), idempotency_key="k"))
    assert len({job.id for job in jobs}) == 1
    assert bench.kinds(jobs[0].id) == ["job.submitted"]


def test_updates_reported_at_once_are_all_counted(bench: Bench, store: Store) -> None:
    job = bench.running_job(runs=THREADS)
    leases = [bench.claim() for _ in range(THREADS)]

    def report(number: int) -> None:
        for step in (30, 60):
            store.leases.heartbeat(leases[number], points=[point(step)], updates=30, lease_seconds=60.0)

    at_once(report)
    assert store.jobs.get(job.id).updates_spent == THREADS * 60


def test_a_result_sent_many_times_at_once_is_recorded_once(bench: Bench, store: Store) -> None:
    job = bench.running_job()
    lease = bench.claim()

    def finish(number: int) -> bool:
        try:
            store.leases.finish(lease, loss=float(number), step=STEPS, updates=STEPS)
        except LeaseLost:
            return False
        return True

    recorded = at_once(finish)
    assert sum(recorded) == 1
    assert store.runs.get(lease.run_id).loss == float(recorded.index(True))
    assert store.jobs.get(job.id).updates_spent == STEPS


def test_a_follower_of_the_events_misses_none(bench: Bench, store: Store) -> None:
    jobs = [bench.running_job(runs=4) for _ in range(THREADS)]
    seen: list[EventRecord] = []
    done = threading.Event()

    def follow() -> None:
        while True:
            last_round = done.is_set()
            while events := store.events.after(seen[-1].id if seen else 0, limit=7):
                seen.extend(events)
            if last_round:
                return

    follower = threading.Thread(target=follow)
    follower.start()

    def work(number: int) -> None:
        while lease := claim_run(store, offer(f"t{number}")):
            store.leases.finish(lease, loss=0.5, step=STEPS, updates=STEPS)

    at_once(work)
    done.set()
    follower.join(timeout=60)
    assert seen == list(store.events.after(0, limit=1_000))
    assert Counter(event.kind for event in seen)["run.succeeded"] == 4 * len(jobs)


@pytest.mark.pg
def test_ids_of_events_rise_in_the_order_of_commits(postgresql_database: str) -> None:
    """A transaction that has numbered its events keeps the others waiting until it has committed."""
    with closing(Store(postgresql_database)) as store, ThreadPoolExecutor(1) as pool:
        announce(store, "w1", device="cpu", workloads=[OFFER])
        job_id = store.jobs.submit(spec()).id
        write = store._database.write
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        second: list[Future[None]] = []

        def first(tx: Tx) -> None:
            tx.emit("first", job_id=job_id)

            @event.listens_for(tx.session, "before_commit")
            def another_comes(session: object) -> None:
                second.append(pool.submit(write, lambda other: other.emit("second", job_id=job_id)))
                deadline = time.monotonic() + 30
                while not store._database.read(lambda reader: reader.scalar(waiting)):
                    assert not second[0].done(), "it did not wait"
                    assert time.monotonic() < deadline
                    time.sleep(0.01)

        write(first)
        second[0].result(timeout=30)
        assert [told.kind for told in store.events.after(0, job_id=job_id)][1:] == ["first", "second"]


def test_everybody_at_once_on_the_same_jobs_neither_locks_up_nor_loses_a_run(
    bench: Bench, store: Store, sql: Sql
) -> None:
    jobs = [bench.running_job(runs=6).id for _ in range(3)]

    def work(number: int) -> None:
        while lease := claim_run(store, offer(f"t{number}")):
            try:
                store.leases.heartbeat(lease, points=[point(30)], updates=30, lease_seconds=60.0)
                store.leases.finish(lease, loss=0.5, step=STEPS, updates=60)
            except LeaseLost:
                continue

    def disturb(number: int) -> None:
        for round_ in range(4):
            sql("UPDATE tuner_runs SET lease_expires_at = 1.0 WHERE lease_token IS NOT NULL")
            store.reaper.reap()
            store.reaper.free_worker(f"t{round_ % 3}")
            if round_ == 2:
                store.jobs.cancel(jobs[-1], reason="in the middle")

    def act(number: int) -> None:
        (work if number < THREADS - 2 else disturb)(number)

    at_once(act)
    work(0)
    final = {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}
    for job_id in jobs:
        runs = store.runs.list(job_id).items
        assert {run.state for run in runs} <= final
        told = Counter(
            event.data["run"] for event in store.events.after(0, limit=1_000) if event.kind == "run.succeeded"
        )
        assert all(told[run.id] == (run.state is RunState.SUCCEEDED) for run in runs)
    assert store.jobs.get(jobs[-1]).state is JobState.CANCELLED


def test_a_cancel_and_many_claims_leave_no_run_behind(bench: Bench, store: Store) -> None:
    job = bench.running_job(runs=THREADS)

    def act(number: int) -> Sequence[object]:
        if number == 0:
            return [store.jobs.cancel(job.id, reason="now")]
        return [claim_run(store, offer(f"t{number}"))]

    at_once(act)
    assert {run.state for run in store.runs.list(job.id).items} == {RunState.CANCELLED}


def test_a_job_that_many_try_again_at_once_is_tried_again_once(bench: Bench, store: Store) -> None:
    store.people.put_team("speech", TeamSettings())
    job = bench.ready_job(team="speech")
    store.jobs.cancel(job.id, reason="a mistake")

    def retry(number: int) -> bool:
        try:
            store.jobs.retry(job.id)
        except IllegalTransition:
            return False
        return True

    assert sum(at_once(retry)) == 1
    assert bench.kinds(job.id).count("job.retried") == 1


def test_trying_again_and_another_priority_do_not_wait_for_each_other(
    bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RETRY_PAUSES_SECONDS", ())  # a deadlock would pass unseen
    store.people.put_team("speech", TeamSettings())
    job = bench.ready_job(team="speech")
    store.jobs.cancel(job.id, reason="a mistake")

    def disturb(number: int) -> None:
        for _ in range(20):
            if number % 2:
                store.jobs.change(job.id, JobChange(priority=Priority.LOW))
                continue
            with suppress(IllegalTransition):
                store.jobs.retry(job.id)

    at_once(disturb)


def test_a_job_that_is_deleted_while_its_runs_are_freed_keeps_no_worker_from_starting(
    bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = bench.running_job()
    bench.claim("w1")
    kept = bench.running_job()
    look = store.reaper._jobs_to_free
    found = (job.id, kept.id)
    store.jobs.cancel(job.id, reason="enough")
    store.jobs.delete(job.id)
    bench.claim("w1")
    monkeypatch.setattr(store.reaper, "_jobs_to_free", lambda which: found if kept.id in look(which) else ())
    assert store.reaper.free_worker("w1") == 1
