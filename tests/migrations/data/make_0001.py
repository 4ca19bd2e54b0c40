"""Makes 0001.db.gz with the code of the release whose newest revision is 0001: see the README beside this file.

git archive ab4ddf6 | tar -x -C OLD
cd OLD && PYTHONPATH=. python -P .../make_0001.py OUTPUT.db.gz
"""

from __future__ import annotations

import gzip
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import tuner
from tests.integration.store.builders import OFFER, Bench, point, spec
from tuner.jobs.records import SnapshotRef
from tuner.store import Store


def fill(database: Path) -> None:
    """One job of each kind that a year of use leaves behind."""
    quick = {"cohort": 2, "finalists": 1, "confirm_seeds": 2, "rungs": 2}
    tuner.tune("digits-mlp", trials=4, total_steps=60, search=quick, database=database, device="cpu")
    with closing(Store.open(f"sqlite:///{database}")) as store:
        bench = Bench(store)
        store.workers.announce("gpu-1", device="cuda:0", workloads=[replace(OFFER, name="finetune")])
        store.workers.announce("w1", device="cpu", workloads=[OFFER])
        running = bench.running_job(runs=3, team="vision", priority=5, name="half done")
        done = bench.claim()
        store.leases.heartbeat(done, points=[point(30), point(60)], updates=60, lease_seconds=60.0)
        store.leases.finish(done, loss=0.4, step=90, updates=30)
        leased = bench.claim()
        store.leases.heartbeat(leased, points=[point(30, val_loss=float("nan"))], updates=30, lease_seconds=60.0)
        store.leases.save_snapshot(leased, SnapshotRef(step=30, path="snapshots/a-run/30"))
        store.jobs.submit(spec(team="language", priority=-3, name="can wait"), idempotency_key="once")
        cancelled = store.jobs.submit(spec(name="a mistake"))
        store.jobs.cancel(cancelled.id, reason="cancelled by its owner")
        assert store.jobs.get(running.id).state.value == "running"


def main(target: Path) -> None:
    """Write the database, packed."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "tuner.db"
        fill(database)
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("VACUUM")
        target.write_bytes(gzip.compress(database.read_bytes(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
