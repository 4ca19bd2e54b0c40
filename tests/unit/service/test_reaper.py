from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from tests.integration.service.world import World
from tests.integration.store.builders import offer
from tuner.errors import DatabaseUnavailable
from tuner.jobs.records import LeasedRun
from tuner.jobs.states import RunState
from tuner.store import Reaped, Store
from tuner_service.reaper import Reaper

PATIENCE_SECONDS = 30.0


class Queue:
    """A queue, and events, that fail when some things are done for the first time."""

    def __init__(self, *, away: Sequence[str] = ("reap",), error: Exception | None = None) -> None:
        self.done: list[str] = []
        self.away = set(away)
        self.error = error or DatabaseUnavailable("connection refused")
        self.looked_again = threading.Event()
        self.retention: float | None = None
        self.lost_limit: int | None = None

    def _do(self, what: str) -> None:
        if what in self.away:
            self.away.remove(what)
            raise self.error
        self.done.append(what)

    def reap(self, *, lost_limit: int) -> Reaped:
        self._do("reap")
        self.lost_limit = lost_limit
        self.looked_again.set()
        return Reaped(requeued=0, failed=0)

    def enforce_limits(self) -> int:
        self._do("enforce_limits")
        return 1

    def preempt(self) -> int:
        self._do("preempt")
        return 0

    def prune(self, older_than_seconds: float) -> int:
        self._do("prune")
        self.retention = older_than_seconds
        return 7


DUTIES = ["reap", "enforce_limits", "preempt", "prune"]


def a_store(queue: Queue) -> Any:
    return SimpleNamespace(reaper=queue, events=queue)


@contextmanager
def quiet() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def test_it_outlives_an_outage_of_the_database():
    queue = Queue()
    with quiet() as lines, Reaper(a_store(queue), interval=timedelta(milliseconds=1)) as reaper:
        assert queue.looked_again.wait(PATIENCE_SECONDS)
        assert reaper.alive
    assert not reaper.alive
    assert not [line for line in lines if line["log_level"] == "error"], "the store says it, once"


@pytest.mark.parametrize("failing", DUTIES)
def test_what_fails_keeps_nothing_else_from_being_done(failing: str):
    queue = Queue(away=[failing])
    with quiet() as lines:
        Reaper(a_store(queue), interval=timedelta(seconds=1)).reap_once()
    assert queue.done == [duty for duty in DUTIES if duty != failing]
    assert not [line for line in lines if line["event"] == "reaper.failed"]


def test_a_defect_is_logged_when_it_begins_and_not_with_every_pass():
    queue = Queue(away=["preempt"], error=RuntimeError("a defect"))
    reaper = Reaper(a_store(queue), interval=timedelta(seconds=1))
    with quiet() as lines:
        for _ in range(3):
            queue.away = {"preempt"}
            reaper.reap_once()
        queue.error = RuntimeError("another defect")
        queue.away = {"preempt"}
        reaper.reap_once()
        reaper.reap_once()  # it succeeds
        queue.away = {"preempt"}
        reaper.reap_once()
    failures = [line for line in lines if line["event"] == "reaper.failed"]
    assert [(line["at"], line["log_level"]) for line in failures] == [("reaper.preempted", "error")] * 3


def test_it_logs_what_it_did_and_nothing_else():
    with quiet() as lines:
        Reaper(a_store(Queue(away=())), interval=timedelta(seconds=1)).reap_once()
    told = [(line["event"], line.get("jobs"), line.get("events")) for line in lines]
    assert told == [("reaper.limits_enforced", 1, None), ("reaper.events_pruned", None, 7)]


def test_the_configured_time_of_events_and_limit_of_lost_attempts_are_used():
    queue = Queue(away=())
    with quiet():
        Reaper(
            a_store(queue), interval=timedelta(seconds=1), event_retention=timedelta(hours=2), lost_limit=5
        ).reap_once()
    assert queue.retention == 7200.0
    assert queue.lost_limit == 5


def test_a_stop_does_not_wait_for_the_interval():
    with quiet(), Reaper(a_store(Queue()), interval=timedelta(days=1)) as reaper:
        pass
    assert not reaper.alive


def test_it_frees_the_runs_of_a_worker_that_went_silent(tmp_path: Path):
    store = Store.open(f"sqlite:///{tmp_path / 'tuner.db'}")
    try:
        world = World(store)
        job = world.job()
        world.started(job)
        lease = store.queue.claim(offer(), lease_seconds=0.001, lock_seconds=60.0)
        assert isinstance(lease, LeasedRun)
        reaper = Reaper(store, interval=timedelta(seconds=1))
        with quiet() as lines:
            while store.runs.get(lease.run_id).state is RunState.LEASED:
                reaper.reap_once()
        assert store.runs.get(lease.run_id).state is RunState.QUEUED
        assert [line["event"] for line in lines] == ["reaper.reaped"]
    finally:
        store.close()
