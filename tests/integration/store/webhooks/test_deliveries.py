"""Webhooks in the store: what happened becomes a delivery once, and one dispatcher at a time holds it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.store.builders import Bench, spec
from tests.integration.store.webhooks.builders import REFUSED, TAKEN, claim, new, record, submit
from tuner.errors import InvalidValue
from tuner.jobs.webhooks import (
    DeliveryResponse,
    DeliveryState,
    Outcome,
    WebhookChange,
    next_attempt,
)
from tuner.store import Store

Sql = Callable[..., list[Any]]


class TestEnqueue:
    def test_every_event_of_a_wanted_kind_becomes_one_delivery(self, store: Store):
        made = store.webhooks.create(new())
        submit(store, 3)
        assert store.deliveries.enqueue() == 3
        assert store.deliveries.enqueue() == 0
        page = store.webhooks.deliveries(made.id)
        assert [one.type for one in page.items] == ["job.submitted"] * 3
        assert {one.state for one in page.items} == {DeliveryState.PENDING}

    def test_the_body_tells_the_event_and_the_job(self, store: Store):
        store.webhooks.create(new())
        job = store.jobs.submit(spec(name="first look"))
        store.deliveries.enqueue()
        (event,) = store.events.after(0, job_id=job.id)
        assert dict(claim(store).body) == {
            "id": str(event.id),
            "type": "job.submitted",
            "at": event.at,
            "job": {
                "id": job.id,
                "name": "first look",
                "team": "default",
                "owner": "local",
                "workload": "digits-mlp",
                "priority": "normal",
                "state": "queued",
            },
            "data": event.data,
        }

    def test_what_happened_before_is_not_told(self, store: Store):
        submit(store)
        store.webhooks.create(new())
        assert store.deliveries.enqueue() == 0

    def test_other_kinds_and_other_teams_are_not_told(
        self, store: Store, bench: Bench, add_team: Callable[[str], None]
    ):
        add_team("vision")
        add_team("speech")
        store.webhooks.create(new(team="vision"))
        bench.running_job(runs=2, team="speech", shared=True)
        submit(store, team="vision")
        assert store.deliveries.enqueue() == 1

    def test_more_events_than_a_batch_are_all_told(self, store: Store, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("tuner.store.webhooks.deliveries._BATCH", 3)
        store.webhooks.create(new())
        submit(store, 7)
        assert store.deliveries.enqueue() == 7

    def test_dispatchers_that_look_together_make_each_delivery_once(self, store: Store):
        webhooks = [store.webhooks.create(new()) for _ in range(3)]
        submit(store, 20)
        made: list[int] = []
        threads = [threading.Thread(target=lambda: made.append(store.deliveries.enqueue())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.deliveries.enqueue()  # one that passed over a webhook which another one held has told nothing
        for webhook in webhooks:
            assert len(store.webhooks.deliveries(webhook.id, limit=500).items) == 20

    def test_a_disabled_one_is_told_nothing_of_what_happens_meanwhile(self, store: Store):
        made = store.webhooks.create(new())
        submit(store)
        store.deliveries.enqueue()
        store.webhooks.change(made.id, WebhookChange(enabled=False))
        submit(store)
        assert store.deliveries.enqueue() == 0
        assert store.deliveries.claim(hold_seconds=60) is None
        (given_up,) = store.webhooks.deliveries(made.id).items
        assert (given_up.state, given_up.last_error) == (DeliveryState.FAILED, "the webhook was disabled")
        store.webhooks.change(made.id, WebhookChange(enabled=True))
        submit(store)
        assert store.deliveries.enqueue() == 1

    def test_a_job_that_is_deleted_meanwhile_is_still_told_of(self, store: Store, sql: Sql):
        store.webhooks.create(new())
        job = store.jobs.submit(spec())
        store.deliveries.enqueue()
        sql("DELETE FROM tuner_events")
        sql("DELETE FROM tuner_jobs")
        assert claim(store).body["job"]["id"] == job.id


class TestClaim:
    def test_nothing_is_due_without_events(self, store: Store):
        store.webhooks.create(new())
        assert store.deliveries.claim(hold_seconds=60) is None

    def test_events_of_one_webhook_go_out_in_their_order_one_at_a_time(self, store: Store):
        store.webhooks.create(new())
        submit(store, 3)
        store.deliveries.enqueue()
        ids = []
        while due := store.deliveries.claim(hold_seconds=60):
            assert store.deliveries.claim(hold_seconds=60) is None
            ids.append(int(due.body["id"]))
            record(store, due, TAKEN)
        assert len(ids) == 3
        assert ids == sorted(ids)

    def test_a_slow_receiver_holds_up_no_other_webhook(self, store: Store):
        store.webhooks.create(new())
        store.webhooks.create(new())
        submit(store)
        store.deliveries.enqueue()
        first, second = claim(store), claim(store)
        assert first.webhook_id != second.webhook_id

    def test_a_delivered_one_is_over(self, store: Store):
        made = store.webhooks.create(new())
        submit(store)
        store.deliveries.enqueue()
        assert record(store, claim(store), TAKEN)
        assert store.deliveries.claim(hold_seconds=60) is None
        (one,) = store.webhooks.deliveries(made.id).items
        assert (one.state, one.attempts, one.last_status, one.last_error) == (DeliveryState.DELIVERED, 1, 204, None)
        assert one.finished_at is not None
        assert one.next_attempt_at is None

    def test_a_failed_attempt_comes_again_when_its_wait_is_over_and_not_before(
        self, store: Store, pass_time: Callable[[float], None]
    ):
        made = store.webhooks.create(new())
        submit(store)
        store.deliveries.enqueue()
        waits = []
        while True:
            due = claim(store)
            outcome = next_attempt(REFUSED, attempt=due.attempt, jitter=0.5)
            store.deliveries.record(due, response=REFUSED, outcome=outcome)
            if outcome.wait_seconds is None:
                break
            waits.append(outcome.wait_seconds)
            pass_time(outcome.wait_seconds - 1.0)
            assert store.deliveries.claim(hold_seconds=60) is None
            pass_time(1.0)
        assert waits == [2.0 * 3.7**n for n in range(9)]
        (one,) = store.webhooks.deliveries(made.id).items
        assert (one.state, one.attempts, one.last_status) == (DeliveryState.FAILED, 10, 503)
        assert one.last_error == REFUSED.error

    def test_what_a_dead_dispatcher_held_is_sent_again_once_its_time_is_up(
        self, store: Store, pass_time: Callable[[float], None]
    ):
        store.webhooks.create(new())
        submit(store)
        store.deliveries.enqueue()
        lost = claim(store)
        pass_time(59.0)
        assert store.deliveries.claim(hold_seconds=60) is None
        pass_time(2.0)
        again = claim(store)
        assert again.id == lost.id
        assert again.body["id"] == lost.body["id"], "the receiver can tell that it is the same event"
        assert again.attempt == lost.attempt + 1

    def test_a_dispatcher_that_was_only_slow_notes_nothing_over_the_head_of_the_one_that_took_over(
        self, store: Store, pass_time: Callable[[float], None]
    ):
        made = store.webhooks.create(new())
        submit(store)
        store.deliveries.enqueue()
        slow = claim(store)
        pass_time(61.0)
        quick = claim(store)
        assert not record(store, slow, REFUSED)
        assert record(store, quick, TAKEN)
        assert not record(store, slow, REFUSED)
        assert store.webhooks.deliveries(made.id).items[0].state is DeliveryState.DELIVERED

    def test_a_receiver_that_is_gone_is_told_nothing_more(self, store: Store, sql: Sql):
        made = store.webhooks.create(new())
        submit(store, 3)
        store.deliveries.enqueue()
        record(store, claim(store), DeliveryResponse(status=410, error="the receiver answered 410"))
        assert not store.webhooks.get(made.id).enabled
        assert store.deliveries.claim(hold_seconds=60) is None
        assert [one.state for one in store.webhooks.deliveries(made.id).items] == [DeliveryState.FAILED] * 3
        assert sql("SELECT actor FROM tuner_audit WHERE action = 'webhook.disable'") == [("service",)]

    def test_claimers_that_come_together_hold_each_delivery_once(self, store: Store):
        for _ in range(4):
            store.webhooks.create(new())
        submit(store, 5)
        store.deliveries.enqueue()
        held: list[tuple[str, int]] = []
        barrier = threading.Barrier(4)

        def work() -> None:
            barrier.wait()
            while due := store.deliveries.claim(hold_seconds=60):
                held.append((due.id, due.attempt))
                record(store, due, TAKEN)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        work_left = []
        while due := store.deliveries.claim(hold_seconds=60):
            work_left.append((due.id, due.attempt))
            record(store, due, TAKEN)
        taken = held + work_left
        assert len(taken) == len(set(taken)) == 20
        assert {attempt for _, attempt in taken} == {1}


class TestDeliveries:
    def test_pages_hold_every_delivery_once_newest_first(self, store: Store):
        made = store.webhooks.create(new())
        submit(store, 5)
        store.deliveries.enqueue()
        seen: list[int] = []
        cursor = None
        while True:
            page = store.webhooks.deliveries(made.id, cursor=cursor, limit=2)
            seen += [int(one.event_id) for one in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len(seen) == 5
        assert seen == sorted(seen, reverse=True)

    def test_states_filter(self, store: Store):
        made = store.webhooks.create(new())
        submit(store, 3)
        store.deliveries.enqueue()
        record(store, claim(store), TAKEN)
        assert len(store.webhooks.deliveries(made.id, state=DeliveryState.DELIVERED).items) == 1
        assert len(store.webhooks.deliveries(made.id, state=DeliveryState.PENDING).items) == 2

    @pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 501}, {"cursor": "x"}, {"cursor": "9" * 19}])
    def test_a_limit_out_of_range_and_a_strange_cursor_are_refused(self, store: Store, wrong: dict[str, Any]):
        with pytest.raises(InvalidValue):
            store.webhooks.deliveries("w", **wrong)

    def test_only_what_ended_long_ago_is_forgotten(self, store: Store, pass_time: Callable[[float], None]):
        made = store.webhooks.create(new())
        submit(store, 2)
        store.deliveries.enqueue()
        record(store, claim(store), TAKEN)
        pass_time(3_600.0)
        assert store.deliveries.prune(older_than_seconds=7_200.0) == 0
        assert store.deliveries.prune(older_than_seconds=1_800.0) == 1
        (left,) = store.webhooks.deliveries(made.id).items
        assert left.state is DeliveryState.PENDING

    def test_an_outcome_with_text_that_no_database_stores_is_noted_all_the_same(self, store: Store):
        made = store.webhooks.create(new())
        submit(store)
        store.deliveries.enqueue()
        failed = Outcome(state=DeliveryState.FAILED, wait_seconds=None, disable=False)
        assert store.deliveries.record(
            claim(store), response=DeliveryResponse(status=None, error="\0 no \ud800"), outcome=failed
        )
        assert "no" in str(store.webhooks.deliveries(made.id).items[0].last_error)
