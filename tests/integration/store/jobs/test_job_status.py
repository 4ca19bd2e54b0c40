"""A job's detail, worked out by the database, against the same worked out from every trial and run."""

from __future__ import annotations

from tests.integration.store.builders import STEPS, Bench
from tests.unit.jobs.tallies import tally_of
from tuner.jobs.progress import progress
from tuner.store import Store


def test_it_is_what_all_trials_and_runs_add_up_to(bench: Bench, store: Store) -> None:
    job = bench.running_job(runs=5)
    store.leases.finish(bench.claim(), loss=0.5, step=STEPS, updates=STEPS)
    store.leases.finish(bench.claim(), loss=0.4, step=STEPS, updates=STEPS)
    store.leases.finish(bench.claim(), loss=None, step=3, updates=3)
    bench.claim()
    record = store.planning.load(job.id)
    tally = tally_of(trials=record.trials, runs=record.runs, devices=1)
    assert store.jobs.status(job.id).progress == progress(record.job, tally=tally)
