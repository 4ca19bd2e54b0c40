"""Jobs as users see them, events, workers and workloads: the same on both databases."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import pytest

from tests.integration.store.builders import OFFER, STEPS, Bench, announce, spec
from tuner.errors import IdempotencyConflict, IllegalTransition, InvalidValue, NotFound
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.search.settings import SearchSettings
from tuner.store import WORKER_TIMEOUT_SECONDS, Store

Sql = Callable[..., list[Any]]


class TestSubmit:
    def test_a_job_is_stored_as_it_was_asked_for(self, store: Store) -> None:
        before = store.now()
        asked = spec(options={"width": 64, "rate": 0.1 + 0.2, "text": "é😀", "none": None, "list": [1, 2.5]})
        job = store.jobs.submit(asked)
        assert job.spec == asked
        assert (job.state, job.updates_spent, job.plan_due) == (JobState.QUEUED, 0, True)
        assert (job.started_at, job.finished_at, job.error) == (None, None, None)
        assert before <= job.created_at <= store.now()
        assert store.jobs.get(job.id) == job

    def test_a_workload_that_nobody_offers_is_refused_with_those_that_exist(self, store: Store) -> None:
        with pytest.raises(NotFound, match=r"there is no workload 'letters'\. Known are: digits"):
            store.jobs.submit(spec(workload="letters"))

    def test_a_job_without_a_space_is_refused(self, store: Store) -> None:
        with pytest.raises(InvalidValue, match=r"search\.space must be given"):
            store.jobs.submit(spec(search=SearchSettings(total_steps=900)))

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_an_option_that_json_has_no_word_for_is_refused(self, store: Store, value: float) -> None:
        with pytest.raises(InvalidValue, match="options must be JSON with finite numbers"):
            store.jobs.submit(spec(options={"rate": value}))


class TestIdempotency:
    def test_the_same_key_and_request_give_the_same_job(self, bench: Bench, store: Store) -> None:
        first = store.jobs.submit(spec(), idempotency_key="k1")
        again = store.jobs.submit(spec(), idempotency_key="k1")
        assert again == first
        assert bench.kinds(first.id) == ["job.submitted"]
        assert len(store.jobs.list().items) == 1

    def test_the_same_key_for_another_request_is_a_conflict(self, store: Store) -> None:
        first = store.jobs.submit(spec(), idempotency_key="k1")
        with pytest.raises(
            IdempotencyConflict, match=f"'k1' was used for another request, which became job {first.id}"
        ):
            store.jobs.submit(spec(name="another"), idempotency_key="k1")
        assert len(store.jobs.list().items) == 1

    def test_without_a_key_every_request_is_a_job(self, store: Store) -> None:
        assert store.jobs.submit(spec()).id != store.jobs.submit(spec()).id

    def test_a_key_belongs_to_its_team(self, store: Store) -> None:
        first = store.jobs.submit(spec(team="a"), idempotency_key="k1")
        assert store.jobs.submit(spec(team="b"), idempotency_key="k1").id != first.id

    @pytest.mark.parametrize("key", ["", "k" * 201])
    def test_a_key_of_a_wrong_length_is_refused(self, store: Store, key: str) -> None:
        with pytest.raises(InvalidValue, match="idempotency_key must be 1 to 200 characters long"):
            store.jobs.submit(spec(), idempotency_key=key)


class TestList:
    def test_pages_go_from_the_newest_to_the_oldest_and_miss_none(self, store: Store) -> None:
        ids = [store.jobs.submit(spec()).id for _ in range(5)]
        seen: list[str] = []
        cursor = None
        while True:
            page = store.jobs.list(cursor=cursor, limit=2)
            seen += [job.id for job in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == ids[::-1]

    def test_a_job_that_arrives_meanwhile_does_not_shift_the_pages(self, store: Store) -> None:
        ids = [store.jobs.submit(spec()).id for _ in range(4)]
        first = store.jobs.list(limit=2)
        store.jobs.submit(spec())
        second = store.jobs.list(limit=2, cursor=first.next_cursor)
        assert [job.id for job in first.items + second.items] == ids[::-1]
        assert second.next_cursor is None

    def test_states_are_filtered(self, bench: Bench, store: Store) -> None:
        running = bench.running_job()
        queued = store.jobs.submit(spec())
        assert [job.id for job in store.jobs.list(states=[JobState.QUEUED]).items] == [queued.id]
        both = store.jobs.list(states={JobState.QUEUED, JobState.RUNNING}).items
        assert [job.id for job in both] == [queued.id, running.id]
        assert store.jobs.list(states=[]).items == ()

    @pytest.mark.parametrize("limit", [0, -1, 501])
    def test_a_limit_out_of_range_is_refused(self, store: Store, limit: int) -> None:
        with pytest.raises(InvalidValue, match=r"limit must be in \[1, 500\]"):
            store.jobs.list(limit=limit)

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "٣", "9" * 40])
    def test_a_cursor_that_is_none_of_ours_is_refused(self, store: Store, cursor: str) -> None:
        with pytest.raises(InvalidValue, match="cursor must be the next_cursor of an earlier page"):
            store.jobs.list(cursor=cursor)


class TestCancel:
    def test_everything_open_is_cancelled_in_one_go_and_results_stay(self, bench: Bench, store: Store) -> None:
        job = bench.running_job(runs=3)
        done = bench.claim()
        store.leases.finish(done, loss=0.5, step=STEPS, updates=STEPS)
        bench.claim()
        cancelled = store.jobs.cancel(job.id, reason="by ann")
        assert (cancelled.state, cancelled.error, cancelled.plan_due) == (JobState.CANCELLED, "by ann", False)
        assert cancelled.finished_at is not None
        states = [run.state for run in store.runs.list(job.id).items]
        assert states == [RunState.SUCCEEDED, RunState.CANCELLED, RunState.CANCELLED]
        assert {trial.state for trial in store.trials.list(job.id).items} == {TrialState.CANCELLED}
        assert store.runs.get(done.run_id).loss == 0.5
        assert bench.kinds(job.id)[-1] == "job.cancelled"
        assert bench.nothing_to_claim()

    def test_a_cancelled_job_stays_as_it_is(self, bench: Bench, store: Store) -> None:
        job = store.jobs.submit(spec())
        first = store.jobs.cancel(job.id, reason="by ann")
        assert store.jobs.cancel(job.id, reason="by bob") == first
        assert bench.kinds(job.id) == ["job.submitted", "job.cancelled"]

    def test_a_job_that_is_over_cannot_be_cancelled(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        store.leases.fail(bench.claim(), reason="it broke", retry=False)
        store.planning.fail_job(bench.lock(), error="it broke")
        with pytest.raises(IllegalTransition, match=f"job {job.id} is failed and cannot be cancelled"):
            store.jobs.cancel(job.id, reason="by ann")


class TestNotFound:
    @pytest.mark.parametrize("call", ["jobs.get", "jobs.report", "trials.list", "runs.list"])
    def test_a_job_that_does_not_exist_is_named(self, store: Store, call: str) -> None:
        with pytest.raises(NotFound, match="there is no job 'nobody'"):
            attrgetter(call)(store)("nobody")

    def test_cancelling_and_loading_name_it_too(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.jobs.cancel("nobody", reason="")
        with pytest.raises(NotFound):
            store.planning.load("nobody")

    @pytest.mark.parametrize("method", ["get", "curve"])
    def test_a_run_that_does_not_exist_is_named(self, store: Store, method: str) -> None:
        with pytest.raises(NotFound, match="there is no run 'nobody'"):
            getattr(store.runs, method)("nobody")

    def test_an_id_that_no_database_can_hold_is_refused_or_not_found(self, store: Store) -> None:
        with pytest.raises((NotFound, InvalidValue)):
            store.jobs.get("a\0b")


class TestEvents:
    def test_following_by_id_gets_each_once_in_order(self, bench: Bench, store: Store) -> None:
        first, second = bench.running_job(), bench.running_job()
        everything = store.events.after(0)
        assert [event.id for event in everything] == sorted({event.id for event in everything})
        last, seen = 0, []
        while events := store.events.after(last, limit=3):
            seen += events
            last = events[-1].id
        assert tuple(seen) == everything
        by_job = store.events.after(0, job_id=first.id) + store.events.after(0, job_id=second.id)
        assert sorted(by_job, key=lambda event: event.id) == list(everything)

    def test_they_tell_what_and_when(self, store: Store) -> None:
        job = store.jobs.submit(spec(name="mine", team="red"))
        (event,) = store.events.after(0, job_id=job.id)
        assert (event.job_id, event.kind, event.at) == (job.id, "job.submitted", job.created_at)
        assert event.data == {"name": "mine", "workload": "digits-mlp", "team": "red"}

    def test_beyond_the_last_there_is_none(self, store: Store) -> None:
        store.jobs.submit(spec())
        assert store.events.after(2**70) == ()

    @pytest.mark.parametrize("limit", [0, 1_001])
    def test_a_limit_out_of_range_is_refused(self, store: Store, limit: int) -> None:
        with pytest.raises(InvalidValue, match=r"limit must be in \[1, 1000\]"):
            store.events.after(0, limit=limit)


class TestFleet:
    def test_a_workload_comes_back_as_it_was_announced(self, store: Store) -> None:
        assert store.workers.workloads() == (OFFER,)
        assert store.workers.workload("digits-mlp") == OFFER

    def test_the_latest_word_on_a_workload_holds(self, store: Store) -> None:
        newer = replace(OFFER, version="2", description="More digits.")
        announce(store, "w2", device="cpu", workloads=[newer])
        assert store.workers.workload("digits-mlp") == newer

    def test_workloads_outlive_their_workers(self, store: Store) -> None:
        store.workers.retire("w1")
        assert [worker.alive for worker in store.workers.workers()] == [False]
        assert store.workers.workloads() == (OFFER,)

    def test_a_worker_is_alive_until_it_is_silent_for_too_long(self, store: Store, sql: Sql) -> None:
        (worker,) = store.workers.workers()
        assert (worker.name, worker.device, worker.workloads, worker.alive) == ("w1", "cpu", {"digits-mlp": "1"}, True)
        sql("UPDATE tuner_workers SET heartbeat_at = :at", at=store.now() - WORKER_TIMEOUT_SECONDS - 1.0)
        assert [worker.alive for worker in store.workers.workers()] == [False]
        store.workers.beat("w1")
        assert [worker.alive for worker in store.workers.workers()] == [True]

    def test_a_worker_that_starts_again_replaces_itself(self, store: Store) -> None:
        (before,) = store.workers.workers()
        announce(store, "w1", device="cuda:0", workloads=[])
        (after,) = store.workers.workers()
        assert (after.device, after.workloads) == ("cuda:0", {})
        assert after.started_at >= before.started_at

    def test_a_beat_of_a_stranger_is_nothing(self, store: Store) -> None:
        store.workers.beat("nobody")
        assert [worker.name for worker in store.workers.workers()] == ["w1"]

    def test_where_nothing_was_announced_the_error_says_how(self, store: Store, sql: Sql) -> None:
        sql("DELETE FROM tuner_workloads")
        with pytest.raises(NotFound, match="No worker has announced any yet: start one with `tuner worker`"):
            store.workers.workload("digits-mlp")
