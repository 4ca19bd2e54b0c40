"""A real worker stops a hopeless run, also where it is killed between the stop and its record."""

from __future__ import annotations

import signal

import pytest

from tests.faults.harness import SCHEDULE, Gate, Site, wait_until
from tests.integration.store.builders import claim_lock, offer
from tuner.jobs.forecasts import BestTrial
from tuner.jobs.records import CurvePoint, LeasedRun, NewRun
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import RunState
from tuner.schedules import Constant, Schedule
from tuner.search.configuration import Configuration
from tuner.search.pruning.audit import is_audited
from tuner.search.settings import SearchSettings
from tuner.search.space import default_space

pytestmark = pytest.mark.faults

STEPS = 200
GOOD = (0.02, 0.03, 0.04, 0.05)
SEED = next(seed for seed in range(100) if not is_audited(trial=len(GOOD), seed=seed))
BEST = BestTrial(trial=0, label="constant", value=1.0, std=0.01, low=0.98, high=1.02, runs=1, margin=0.01)


def enqueue_hopeless(site: Site, gate: Gate) -> str:
    """Queue a run whose job has four complete ones and a leader, and keep the study lock; the run's id."""
    store, asked = site.store, offer("test", workloads={"hopeless": "1"})
    space = default_space(store.workers.workload("hopeless").optimizer)
    search = SearchSettings(total_steps=STEPS, space=space)
    job = store.jobs.submit(JobSpec(workload="hopeless", options=gate.options, search=search))
    lock = claim_lock(store, asked, seconds=3600)
    assert lock is not None
    store.planning.start_job(lock)

    def add(number: int, schedule: Schedule) -> None:
        run = NewRun(seed=SEED, total_steps=STEPS, schedule=schedule, reason="a test wants it")
        configuration = Configuration(schedule=schedule)
        store.planning.add_trial(
            lock, number=number, role=None, configuration=configuration, reason=run.reason, run=run
        )

    for number, peak in enumerate(GOOD):
        add(number, Schedule(peak_lr=peak, family=Constant()))
        lease = store.queue.claim(asked, lease_seconds=60, lock_seconds=60, job_id=job.id)
        assert isinstance(lease, LeasedRun)
        losses = {step: 1.0 + 2.0 * (1.0 - step / STEPS) ** 2 + 0.01 * number for step in range(0, STEPS + 1, 10)}
        points = [CurvePoint(step=step, lr=peak, train_loss=None, val_loss=loss) for step, loss in losses.items()]
        store.leases.heartbeat(lease, points=points, lease_seconds=60)
        store.leases.finish(lease, loss=losses[STEPS], step=STEPS, updates=STEPS)
    store.planning.set_best(lock, BEST)
    add(len(GOOD), SCHEDULE)
    return store.planning.load(job.id).runs[-1].id


def test_a_hopeless_run_is_stopped_and_its_worker_takes_the_next(site: Site, gate: Gate) -> None:
    gate.open()
    run_id = enqueue_hopeless(site, gate)
    worker = site.worker()
    run = site.wait_over(run_id)
    assert (run.state, run.attempts, run.loss) == (RunState.STOPPED, 1, None)
    assert 0 < run.step == run.updates < STEPS
    assert site.events("run.stopped", run_id=run_id) == 1
    forecasts = site.store.forecasts.of_run(run_id)
    assert (forecasts[-1].step, forecasts[-1].stop, forecasts[-1].audited) == (run.step, True, False)
    assert worker.wait_logged("run.stopped")["step"] == run.step
    assert site.wait_over(site.enqueue("gated", options={})).state is RunState.SUCCEEDED


def test_a_worker_killed_before_the_stop_is_recorded_has_the_run_stopped_again_and_once(site: Site, gate: Gate) -> None:
    run_id = enqueue_hopeless(site, gate)
    first = site.worker(lease_time=3)
    gate.wait_for_runner()  # it has the directive, and has not ended
    wait_until(lambda: any(one.stop for one in site.store.forecasts.of_run(run_id)), what="the forecast to be stored")
    first.send(signal.SIGKILL)
    first.wait()
    assert site.run(run_id).state is RunState.LEASED

    gate.open()
    site.worker()  # frees what its name holds
    run = site.wait_over(run_id)
    assert (run.state, run.attempts) == (RunState.STOPPED, 2)
    assert site.events("run.stopped", run_id=run_id) == 1
    assert len((gate.folder / "stops").read_text().split()) == 2
    assert site.store.jobs.get(run.job_id).updates_spent == len(GOOD) * STEPS + run.updates
