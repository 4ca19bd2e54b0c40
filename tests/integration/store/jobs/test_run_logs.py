"""What the code of runs printed, and how long events are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.store.builders import Bench
from tuner.errors import LeaseLost
from tuner.people.permissions import Visibility
from tuner.store import Store
from tuner.store.jobs.run_logs import HEAD_CHARACTERS, MAX_LOG_CHARACTERS, omission_notice

Sql = Callable[..., list[Any]]


def text_of(store: Store, run_id: str) -> list[tuple[int, int, str]]:
    return [(chunk.seq, chunk.attempt, chunk.text) for chunk in store.runs.log(run_id)]


def test_pieces_are_kept_in_order_over_all_attempts(bench: Bench, store: Store) -> None:
    bench.ready_job()
    first = bench.claim()
    store.leases.append_log(first, "epoch 1\n")
    store.leases.append_log(first, "")
    store.leases.fail(first, reason="it broke", retry=True)
    store.leases.append_log(bench.claim(), "epoch 1\x00 again \ud800\n")
    assert text_of(store, first.run_id) == [(0, 1, "epoch 1\n"), (1, 2, "epoch 1\\x00 again \\ud800\n")]


def test_nothing_is_kept_of_a_worker_that_lost_its_lease(bench: Bench, store: Store) -> None:
    bench.ready_job()
    late = bench.claim()
    store.leases.release(late)
    with pytest.raises(LeaseLost):
        store.leases.append_log(late, "late")
    assert text_of(store, late.run_id) == []


def test_of_a_log_without_end_the_beginning_and_the_end_are_kept_and_one_line_says_how_much_is_not(
    bench: Bench, store: Store
) -> None:
    bench.ready_job()
    lease = bench.claim()
    pieces = [f"{number:07}\n" * 1024 for number in range(80)]  # of 8 KiB
    told: list[str] = []
    for number, piece in enumerate(pieces):
        store.leases.append_log(lease, piece)
        told += [text for seq, _, text in text_of(store, lease.run_id) if seq == number]  # as one who follows it
        kept = "".join(text for _, _, text in text_of(store, lease.run_id))
        assert len(kept) <= MAX_LOG_CHARACTERS + 100
    assert told == pieces
    head, tail = "".join(pieces[:16]), "".join(pieces[-15:])  # the line takes the room of one piece
    assert len(head) == HEAD_CHARACTERS
    assert kept == head + omission_notice(len("".join(pieces)) - len(head) - len(tail)) + tail
    numbers = [seq for seq, _, _ in text_of(store, lease.run_id)]
    assert numbers == [*range(17), *range(65, 80)]  # they ascend, with a gap where the middle was


def test_a_piece_larger_than_all_that_is_kept_is_cut_in_its_middle(bench: Bench, store: Store) -> None:
    bench.ready_job()
    lease = bench.claim()
    store.leases.append_log(lease, "a" + "x" * MAX_LOG_CHARACTERS + "z")
    ((_, _, text),) = text_of(store, lease.run_id)
    assert text.startswith("ax")
    assert text.endswith("xz")
    assert omission_notice(MAX_LOG_CHARACTERS + 2 - MAX_LOG_CHARACTERS // 4) in text


def test_old_events_are_deleted_and_younger_ones_stay(
    bench: Bench, store: Store, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.store.jobs.events.PRUNED_AT_A_TIME", 2)
    bench.ready_job(runs=3)
    assert store.events.prune(3600.0) == 0
    before = store.events.after(0)
    sql("UPDATE tuner_events SET at = at - 7200 WHERE id <= :id", id=before[4].id)
    assert store.events.prune(3600.0) == 5
    assert store.events.after(0) == before[5:]


def test_events_of_jobs_that_may_not_be_seen_are_not_told(bench: Bench, store: Store) -> None:
    bench.ready_job(team="vision")
    shared = bench.ready_job(team="vision", shared=True)
    ours = bench.ready_job(team="speech")
    seen = store.events.after(0, visibility=Visibility(teams=frozenset({"speech"})))
    assert {event.job_id for event in seen} == {shared.id, ours.id}
