"""All that a worker asks of the store, as the narrow role that `tuner db roles` makes for workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.integration.store.builders import OFFER, Bench, announce, forecast, new_run, offer, point, spec
from tests.integration.store.postgres_server import PostgresServer
from tests.integration.store.role_urls import roles_of, url_as
from tuner.errors import StudyLockLost
from tuner.jobs.forecasts import BestTrial
from tuner.jobs.records import SnapshotRef
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.metric import DEFAULT_METRIC
from tuner.search.configuration import Configuration
from tuner.search.optuna.study import Study
from tuner.store import Store
from tuner.store.jobs.run_logs import MAX_LOG_CHARACTERS
from tuner.store.maintenance.migrate import upgrade
from tuner.store.maintenance.roles import make_roles

pytestmark = pytest.mark.pg

BEST = BestTrial(trial=0, label="cosine", value=0.4, std=0.01, low=0.38, high=0.42, runs=1, margin=0.01)


@pytest.fixture
def stores(postgres: PostgresServer) -> Iterator[tuple[Store, Store]]:
    """One database, as the service opens it and as a worker does."""
    url = postgres.create()
    roles = roles_of(url)
    make_roles(url, roles)
    upgrade(url_as(url, roles.owner))
    with (
        closing(Store.open(url_as(url, roles.service))) as service,
        closing(Store.open(url_as(url, roles.worker))) as worker,
    ):
        announce(worker, "w1", workloads=[OFFER])
        yield service, worker
    postgres.drop(url)


def test_a_worker_can_do_all_that_runs_need(stores: tuple[Store, Store]) -> None:
    service, worker = stores
    job = Bench(service).ready_job(runs=4)
    bench = Bench(worker)

    lease = bench.claim()
    worker.leases.heartbeat(
        lease, points=[point(30), point(60)], forecasts=[forecast(30)], updates=60, lease_seconds=60.0
    )
    worker.leases.heartbeat(lease, points=[point(60)], forecasts=[forecast(30)], lease_seconds=60.0)
    assert worker.leases.check(lease) is None
    for step in (30, 60):
        worker.leases.save_snapshot(lease, SnapshotRef(step=step, path=f"/snapshots/{step}"))
    for _ in range(8):
        worker.leases.append_log(lease, "x" * (MAX_LOG_CHARACTERS // 4))
    assert worker.queue.sibling_runs(lease) is not None
    assert worker.forecasts.context(lease) is None
    assert worker.queue.lock_study(lease, lock_seconds=60.0) is None
    worker.leases.finish(lease, loss=0.5, step=90, updates=30)

    stopped = bench.claim()
    worker.leases.stop(stopped, forecast=forecast(30), step=30, updates=30, reason="it leaves no chance")
    failed = bench.claim()
    worker.leases.fail(failed, reason="a traceback", retry=True, updates=10)
    again = bench.claim()
    worker.leases.release(again)
    left = bench.claim()
    assert worker.reaper.free_worker("w1") == 1
    assert worker.runs.get(left.run_id).state is RunState.QUEUED
    worker.workers.beat("w1")
    assert worker.workers.worker("w1").alive
    worker.workers.retire("w1")
    assert {run.state for run in service.runs.list(job.id).items} >= {RunState.SUCCEEDED, RunState.STOPPED}


def test_a_worker_can_plan_a_study_and_end_its_job(stores: tuple[Store, Store]) -> None:
    service, worker = stores
    bench = Bench(worker)
    job = Bench(service).store.jobs.submit(spec())
    lock = bench.lock()
    worker.planning.start_job(lock)
    study = Study.open(worker.optuna_storage(), name=job.id, settings=job.spec.search, metric=DEFAULT_METRIC)
    schedule = Configuration(schedule=new_run().schedule)
    for number in range(2):
        bench.add_trial(lock, number)
        worker.planning.set_optuna_numbers(lock, numbers={number: study.ask(schedule, number=number, role=None)})
    worker.planning.add_run(lock, trial_number=0, run=new_run(seed=8))
    worker.planning.set_best(lock, BEST)
    worker.planning.close_trial(lock, number=1, state=TrialState.PRUNED, reason="it is not among the best")
    worker.planning.extend(lock, seconds=60.0)
    assert worker.planning.load(job.id).runs
    assert worker.forecasts.complete_curves(job.id, total_steps=90) == ()
    worker.planning.complete_job(lock, report={"winner": 0})
    assert service.jobs.get(job.id).state is JobState.COMPLETED
    assert service.jobs.report(job.id) is not None
    with pytest.raises(StudyLockLost):
        worker.planning.release(lock, again=True)

    job = service.jobs.submit(spec())
    lock = bench.lock()
    worker.planning.start_job(lock)
    worker.planning.fail_job(lock, error="no run succeeded")
    assert service.jobs.get(job.id).state is JobState.FAILED
    assert worker.queue.claim(offer(), lease_seconds=60.0, lock_seconds=60.0) is None


def test_a_worker_cannot_do_what_people_do(stores: tuple[Store, Store]) -> None:
    service, worker = stores
    job = service.jobs.submit(spec())
    for forbidden in (
        lambda: worker.jobs.submit(spec()),
        lambda: worker.jobs.cancel(job.id, reason="not mine"),
        lambda: worker.people.users(),
        lambda: worker.webhooks.list(),
        lambda: worker.workers.set_worker("w1", draining=True),
    ):
        with pytest.raises(RuntimeError, match="permission denied"):
            forbidden()
    assert service.jobs.get(job.id).state is JobState.QUEUED
