"""What a run may do to its runner, and what happens to the run and the worker then."""

from __future__ import annotations

import os
import signal

import pytest

import tuner
from tests.faults.fault_workloads import Gated, Hostile
from tests.faults.harness import site_in, wait_until
from tuner.jobs.admission import admit
from tuner.jobs.states import RunState, is_over
from tuner.report.report import Report
from tuner.training.workload import describe

pytestmark = pytest.mark.faults

DEATHS = {
    "segfault": "the runner was killed by SIGSEGV\nLast lines of its error output:\nFatal Python error: Segmentation",
    "exit_silently": "the runner ended by itself, with exit code 0 and no result",
    "close_everything": "the runner was killed: it closed its pipe but did not end",
    "write_on_the_pipe": "the runner was killed: it broke the protocol",
    "hang": "the runner was killed: it sent nothing for 10 s",
}
ERRORS = {
    "sys_exit": "SystemExit: 3",
    "raise": "ValueError: the training data has a hole",
    "allocate": "Error",
}


@pytest.fixture(scope="module")
def after_misdeeds(tmp_path_factory):
    """One worker that meets every misdeed, one after the other: the site and the runs by misdeed."""
    with site_in(tmp_path_factory.mktemp("misdeeds"), infos=(describe(Gated()), describe(Hostile()))) as site:
        runs = {how: site.enqueue("hostile", options={"how": how}) for how in ("print_garbage", *DEATHS, *ERRORS)}
        for how in DEATHS:  # two attempts went wrong already; the third is the last
            site.sql("UPDATE tuner_runs SET attempts = 2 WHERE id = ?", runs[how])
        site.worker(silence_limit=10, memory_limit_mib=16_384)
        yield site, runs


@pytest.mark.parametrize("how", DEATHS)
def test_a_run_that_kills_its_runner_fails_with_how_it_died(after_misdeeds, how):
    site, runs = after_misdeeds
    run = site.wait_over(runs[how])
    assert (run.state, run.attempts) == (RunState.FAILED, 3)
    assert DEATHS[how] in run.error


@pytest.mark.parametrize("how", ERRORS)
def test_a_run_whose_code_raises_fails_at_once_with_its_traceback(after_misdeeds, how):
    site, runs = after_misdeeds
    run = site.wait_over(runs[how])
    assert (run.state, run.attempts) == (RunState.FAILED, 1)
    assert ERRORS[how] in run.error
    assert "fault_workloads.py" in run.error


def test_a_run_may_print_what_it_likes(after_misdeeds):
    site, runs = after_misdeeds
    assert site.wait_over(runs["print_garbage"]).state is RunState.SUCCEEDED


def test_after_all_that_the_worker_trains_the_next_run_and_nothing_is_left_on_the_disk(after_misdeeds):
    site, _ = after_misdeeds
    run = site.wait_over(site.enqueue("gated", options={}))
    assert (run.state, run.attempts) == (RunState.SUCCEEDED, 1)
    assert site.workers[0].alive
    wait_until(lambda: site.snapshots_on_disk() == [], what="the snapshots to go")


def test_a_study_whose_runner_is_killed_loses_what_was_shared_and_not_its_answer(site, gate):
    space = {
        "peak_lr": {"kind": "float", "low": 0.01, "high": 0.3, "log": True},
        "warmup": [0.0],
        "floor": [0.0],
        "families": [{"name": "constant"}, {"name": "wsd"}],
    }
    search = {
        "total_steps": 90,
        "trials": 3,
        "rungs": 3,
        "controls": False,
        "keep": 1.0,
        "cohort": 3,
        "finalists": 1,
        "confirm_seeds": 2,
        "space": space,
    }
    undisturbed = tuner.tune(Gated(), search=search, device="cpu")
    spec = {"workload": "gated", "options": gate.options, "search": search}
    job = site.store.jobs.submit(admit(spec, workloads=[describe(Gated())]))
    worker = site.worker()

    os.kill(gate.wait_for_runner(), signal.SIGKILL)  # in the first run of the middle rung
    gate.open()
    wait_until(lambda: is_over(site.store.jobs.get(job.id).state), what="the end of the job")

    report = Report.model_validate(site.store.jobs.report(job.id))
    apart = {"job_id", "cost", "summary", "options"}
    assert report.model_dump(exclude=apart) == undisturbed.model_dump(exclude=apart)
    runs = site.store.jobs.runs(job.id).items
    assert sorted(run.attempts for run in runs) == [*[1] * (len(runs) - 1), 2]
    assert 0 < report.cost.updates_saved <= undisturbed.cost.updates_saved
    assert len(worker.logged("runner.died")) == 1
    branched = [entry["step"] for entry in worker.logged("run.branched")]
    assert sum(branched) >= report.cost.updates_saved


def test_a_run_whose_runner_is_killed_goes_on_from_its_snapshot_to_the_same_loss(site, gate, undisturbed_loss):
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker()
    first = gate.wait_for_runner()
    site.wait_snapshot(run_id, step=25)

    os.kill(first, signal.SIGKILL)
    gate.open()
    run = site.wait_over(run_id)

    assert (run.state, run.loss, run.attempts) == (RunState.SUCCEEDED, undisturbed_loss, 2)
    assert list(gate.steps_by_process().values()) == [list(range(25)), list(range(25, 60))]
    assert site.store.jobs.get(run.job_id).updates_spent == 60
    assert site.events("run.succeeded", run_id=run_id) == 1
    assert "SIGKILL" in worker.logged("runner.died")[0]["reason"]
    assert worker.alive
