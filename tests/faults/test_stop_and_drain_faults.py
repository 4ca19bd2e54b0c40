"""What people and more urgent jobs make a worker do in the middle of a run, and that the run does not suffer."""

from __future__ import annotations

import pytest

from tests.faults.harness import wait_until
from tuner.jobs.priority import Priority
from tuner.jobs.states import JobState, RunState

pytestmark = pytest.mark.faults


def test_a_paused_job_frees_the_device_at_the_next_evaluation_and_goes_on_from_there(site, gate, undisturbed_loss):
    run_id = site.enqueue("gated", options=gate.options)
    job_id = site.run(run_id).job_id
    worker = site.worker(kill_grace=0.2)
    gate.wait_for_runner()

    site.store.jobs.pause(job_id)
    gate.open()
    stopped = wait_until(lambda: worker.logged("run.returned"), what="the run to stop")[0]
    other = site.wait_over(site.enqueue("gated", options={}))

    assert stopped["step"] == 30
    assert "paused" in stopped["reason"]
    assert other.state is RunState.SUCCEEDED
    assert (site.run(run_id).state, site.run(run_id).attempts) == (RunState.QUEUED, 1)
    assert site.store.jobs.get(job_id).state is JobState.PAUSED

    site.store.jobs.resume(job_id)
    run = site.wait_over(run_id)
    assert (run.state, run.loss, run.attempts, run.updates) == (RunState.SUCCEEDED, undisturbed_loss, 2, 60)
    assert (run.failed_attempts, run.lost_attempts) == (0, 0)
    assert list(gate.steps_by_process().values()) == [list(range(60))]


def test_a_more_urgent_job_gets_the_device_at_the_next_evaluation(site, gate, undisturbed_loss):
    run_id = site.enqueue("gated", options=gate.options, priority=Priority.LOW)
    worker = site.worker(kill_grace=0.2)
    gate.wait_for_runner()

    urgent_id = site.enqueue("gated", options={}, priority=Priority.HIGH)
    assert site.store.reaper.preempt() == 1
    assert site.store.reaper.preempt() == 0
    gate.open()
    urgent = site.wait_over(urgent_id)
    run = site.wait_over(run_id)

    assert [entry["run_id"] for entry in worker.logged("run.claimed")] == [run_id, urgent_id, run_id]
    assert f"pre-empted by job {urgent.job_id}" in worker.logged("run.returned")[0]["reason"]
    assert (run.state, run.loss, run.attempts, run.updates) == (RunState.SUCCEEDED, undisturbed_loss, 2, 60)
    assert (run.failed_attempts, run.lost_attempts) == (0, 0)
    assert list(gate.steps_by_process().values()) == [list(range(60))]


def test_a_drained_worker_ends_its_run_and_takes_no_other_until_it_may_again(site, gate):
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker()
    gate.wait_for_runner()

    site.store.workers.set_worker("w1", draining=True)
    waiting = site.enqueue("gated", options={})
    gate.open()
    run = site.wait_over(run_id)
    told = worker.wait_logged("worker.availability")

    assert (run.state, run.attempts) == (RunState.SUCCEEDED, 1)
    assert told["draining"]
    assert site.run(waiting).state is RunState.QUEUED
    assert worker.alive

    site.store.workers.set_worker("w1", draining=False)
    assert site.wait_over(waiting).worker == "w1"
