"""What may happen to a worker in the middle of a run, and that the run does not suffer."""

from __future__ import annotations

import signal

import pytest

from tests.faults.harness import is_alive, wait_until
from tuner.jobs.states import RunState

pytestmark = pytest.mark.faults


def test_a_worker_that_is_killed_and_restarted_takes_its_run_back_to_the_same_loss(site, gate, undisturbed_loss):
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker()
    orphan = gate.wait_for_runner()
    site.wait_snapshot(run_id, step=25)

    worker.kill()
    wait_until(lambda: not is_alive(orphan), what="the runner to die with its worker")
    gate.open()
    again = site.worker()
    run = site.wait_over(run_id)

    assert (run.state, run.loss, run.attempts) == (RunState.SUCCEEDED, undisturbed_loss, 2)
    assert again.logged("worker.started")[0]["runs_released"] == 1
    assert list(gate.steps_by_process().values()) == [list(range(25)), list(range(25, 60))]
    assert site.store.jobs.get(run.job_id).updates_spent == 60
    assert site.events("run.succeeded", run_id=run_id) == 1


def test_a_worker_that_was_stopped_past_its_lease_cannot_write_and_carries_on(site, gate, undisturbed_loss):
    run_id = site.enqueue("gated", options=gate.options)
    zombie = site.worker("zombie")
    gate.wait_for_runner()
    site.wait_snapshot(run_id, step=25)

    zombie.send(signal.SIGSTOP)
    site.sql("UPDATE tuner_runs SET lease_expires_at = 0")
    assert site.store.reaper.reap().requeued == 1
    successor = site.worker("successor")
    wait_until(lambda: site.run(run_id).worker == "successor", what="the successor to claim the run")
    gate.open()
    run = site.wait_over(run_id)
    zombie.send(signal.SIGCONT)
    zombie.wait_logged("lease.lost")

    assert site.run(run_id) == run
    assert (run.state, run.loss, run.worker) == (RunState.SUCCEEDED, undisturbed_loss, "successor")
    assert site.events("run.succeeded", run_id=run_id) == 1
    successor.send(signal.SIGTERM)
    assert successor.wait() == 0
    after = site.wait_over(site.enqueue("gated", options={}))
    assert (after.state, after.worker) == (RunState.SUCCEEDED, "zombie")


def test_a_worker_asked_to_stop_gives_its_run_back_with_a_snapshot(site, gate, undisturbed_loss):
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker(kill_grace=60)
    gate.wait_for_runner()

    worker.send(signal.SIGTERM)
    gate.open()

    assert worker.wait() == 0
    run = site.run(run_id)
    assert (run.state, run.failed_attempts, run.lost_attempts) == (RunState.QUEUED, 0, 0)
    assert site.sql("SELECT step FROM tuner_snapshots") == [(30,)]
    assert not site.store.workers.worker("w1").alive

    site.worker("another")
    run = site.wait_over(run_id)
    assert (run.state, run.loss, run.attempts) == (RunState.SUCCEEDED, undisturbed_loss, 2)
    assert list(gate.steps_by_process().values()) == [list(range(30)), list(range(30, 60))]


def test_a_worker_asked_twice_to_stop_ends_at_once_and_takes_its_runner_along(site, gate):
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker()
    runner = gate.wait_for_runner()

    worker.send(signal.SIGINT)
    worker.send(signal.SIGTERM)

    assert worker.wait() == 130
    assert not is_alive(runner)
    assert site.run(run_id).state is RunState.LEASED
    assert site.store.reaper.free_worker("w1") == 1


def test_a_run_that_does_not_stop_within_the_grace_is_cut_off_and_released(site, gate):
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker(kill_grace=0.2)
    runner = gate.wait_for_runner()

    worker.send(signal.SIGTERM)

    assert worker.wait() == 0
    assert not is_alive(runner)
    run = site.run(run_id)
    assert (run.state, run.failed_attempts, run.lost_attempts) == (RunState.QUEUED, 0, 0)


def test_a_worker_asked_to_stop_ends_a_run_that_ignores_every_signal(site):
    run_id = site.enqueue("hostile", options={"how": "ignore_signals", "folder": str(site.folder)})
    worker = site.worker(kill_grace=0.2)
    pids = site.folder / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().splitlines()) == 2, what="the runner and its child")

    worker.send(signal.SIGTERM)

    assert worker.wait() == 0
    assert not [pid for pid in map(int, pids.read_text().split()) if is_alive(pid)]
    run = site.run(run_id)
    assert (run.state, run.failed_attempts, run.lost_attempts) == (RunState.QUEUED, 0, 0)
    assert worker.logged("run.killed")[0]["reason"] == (
        "the runner was killed: it did not stop within 0.2 s; "
        "it did not end at SIGTERM, which its code ignores or handles, so that SIGKILL had to end it"
    )


def test_a_lease_outlives_a_long_update_and_its_loss_stops_the_run(site, gate):
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker(lease_time=0.5)
    gate.wait_for_runner()
    site.wait_snapshot(run_id, step=25)

    def expires_at() -> float:
        return site.sql("SELECT lease_expires_at FROM tuner_runs WHERE id = ?", run_id)[0][0]

    first = expires_at()
    wait_until(lambda: expires_at() > first + 1.0, what="heartbeats over twice the lease")
    site.store.jobs.cancel(site.run(run_id).job_id, reason="no longer needed")
    worker.wait_logged("lease.lost")
    gate.open()
    after = site.wait_over(site.enqueue("gated", options={}))

    assert (after.state, after.attempts) == (RunState.SUCCEEDED, 1)
    assert site.run(run_id).state is RunState.CANCELLED
    assert max(gate.steps_by_process().popitem()[1]) == 29  # stopped at the evaluation after update 30
    wait_until(lambda: site.snapshots_on_disk() == [], what="the snapshots to go")


def test_a_second_worker_of_the_same_name_is_refused(site):
    first = site.worker("twin")
    first.wait_logged("worker.started")

    second = site.worker("twin")

    assert second.wait() == 1
    reason = second.logged("worker.failed")[0]["reason"]
    assert f"process {first.process.pid} already works as 'twin'" in reason
    assert first.alive
