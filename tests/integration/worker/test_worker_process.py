"""A real worker with a real runner over a real database."""

from __future__ import annotations

import signal

from tests.faults.fault_workloads import Gated
from tests.faults.harness import WORKLOADS, undisturbed, wait_until
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState, RunState, is_terminal
from tuner.search.settings import SearchSettings
from tuner.search.space import default_space
from tuner.training.evaluation_steps import evaluation_steps
from tuner.workloads import builtin_workloads


def test_a_worker_trains_queued_runs_records_them_once_and_leaves_in_good_order(site, tmp_path):
    gated = site.enqueue("gated", options={})
    somebody_elses = tmp_path / "snapshots" / "notes"
    somebody_elses.mkdir(parents=True)
    worker = site.worker("lab-1")
    digits_known = wait_until(
        lambda: any(info.name == "digits-mlp" for info in site.store.workers.workloads()), what="the worker's offers"
    )
    assert digits_known
    digits = site.enqueue("digits-mlp", options={"width": 16}, total_steps=40, seed=3)

    run = site.wait_over(gated)
    assert (run.state, run.attempts, run.worker, run.step) == (RunState.SUCCEEDED, 1, "lab-1", 60)
    assert run.loss == undisturbed(Gated(), folder=tmp_path).loss
    assert [point.step for point in site.store.runs.curve(gated)] == [0, *evaluation_steps(60)]
    assert site.events("run.succeeded", run_id=gated) == 1
    assert site.store.jobs.get(run.job_id).updates_spent == 60

    run = site.wait_over(digits)
    builtin = builtin_workloads()["digits-mlp"]
    alone = undisturbed(builtin, options={"width": 16}, total_steps=40, seed=3, folder=tmp_path)
    assert (run.state, run.loss) == (RunState.SUCCEEDED, alone.loss)

    announced = site.store.workers.worker("lab-1")
    assert (announced.device, announced.device_model, announced.devices, announced.alive) == ("cpu", "cpu", 1, True)
    assert announced.memory_bytes is not None
    assert {"gated", "hostile", "digits-mlp"} <= set(announced.workloads)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert not site.store.workers.worker("lab-1").alive
    assert site.snapshots_on_disk() == ["notes"]
    claimed = worker.logged("run.claimed")
    assert [entry["run_id"] for entry in claimed] == [gated, digits]
    assert all(entry["job_id"] and entry["worker"] == "lab-1" for entry in claimed)


def test_a_worker_plans_and_trains_a_whole_job(site):
    info = site.store.workers.workload("gated")
    search = SearchSettings(total_steps=40, budget=6, space=default_space(info.optimizer))
    job = site.store.jobs.submit(JobSpec(workload="gated", search=search))
    worker = site.worker()

    wait_until(lambda: is_terminal(site.store.jobs.get(job.id).state), what="the end of the job")

    ended = site.store.jobs.get(job.id)
    assert ended.error is None
    assert ended.state is JobState.COMPLETED
    assert site.store.jobs.report(job.id) is not None
    runs = site.store.runs.list(job.id).items
    assert {run.state for run in runs} <= {RunState.SUCCEEDED, RunState.DIVERGED, RunState.STOPPED}
    assert 0 < ended.updates_spent <= 6 * 40
    assert ended.best is not None
    assert all(run.attempts == 1 for run in runs)
    assert worker.alive


def test_a_worker_without_its_training_code_ends_with_the_reason(site):
    worker = site.worker(workloads=f"{WORKLOADS[0]},no_such_module:Model")
    assert worker.wait() == 2
    reason = worker.logged("worker.failed")[0]["reason"]
    assert "the runner would not start" in reason
    assert "There is no module 'no_such_module' in " in reason
    assert 'File "' not in reason, "no frames of ours"
