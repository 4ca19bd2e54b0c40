from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import structlog

from service.reaper import Reaper
from tests.integration.service.world import World
from tuner.errors import DatabaseUnavailable
from tuner.jobs.states import RunState
from tuner.store import Reaped, Store

PATIENCE_SECONDS = 30.0


class Queue:
    """A queue whose database is away at the first look, and which counts the looks."""

    def __init__(self) -> None:
        self.looks = 0
        self.looked_again = threading.Event()

    def reap(self) -> Reaped:
        self.looks += 1
        if self.looks == 1:
            raise DatabaseUnavailable("connection refused")
        self.looked_again.set()
        return Reaped(requeued=0, failed=0)


@contextmanager
def quiet() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def test_it_outlives_an_outage_of_the_database():
    queue = Queue()
    store: Any = SimpleNamespace(queue=queue)
    with quiet() as lines, Reaper(store, interval=timedelta(milliseconds=1)) as reaper:
        assert queue.looked_again.wait(PATIENCE_SECONDS)
        assert reaper.alive
    assert not reaper.alive
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["reaper.failed"]


def test_it_does_not_wait_out_its_interval_when_told_to_stop():
    store: Any = SimpleNamespace(queue=Queue())
    with quiet(), Reaper(store, interval=timedelta(days=1)) as reaper:
        pass
    assert not reaper.alive


def test_it_frees_the_runs_of_a_worker_that_went_silent(tmp_path: Path):
    store = Store.open(f"sqlite:///{tmp_path / 'tuner.db'}")
    try:
        world = World(store)
        job = world.job()
        world.started(job)
        lease = store.queue.claim("w1", workloads={"digits-mlp": "1"}, lease_seconds=0.001)
        assert lease is not None
        reaper = Reaper(store, interval=timedelta(seconds=1))
        with quiet() as lines:
            while store.jobs.run(lease.run_id).state is RunState.LEASED:
                reaper.reap_once()
        assert store.jobs.run(lease.run_id).state is RunState.QUEUED
        assert [line["event"] for line in lines] == ["reaper.reaped"]
    finally:
        store.close()
