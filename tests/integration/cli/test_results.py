"""What a job has found so far, as the command line shows it: jobs, trials, reports and runs of a study that trains."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.integration.service.world import World as Queue
from tuner.jobs.states import TrialState


@pytest.fixture(scope="module")
def half_done(store: Any) -> Any:
    """A running job with two of three trials trained."""
    queue = Queue(store)
    job = queue.job(name="half")
    lock = queue.started(job)
    for number, loss in enumerate((0.9, 0.6)):
        queue.train(loss=loss)
        store.planning.close_trial(lock, number=number, state=TrialState.COMPLETED, reason="at the horizon")
    queue.compared(job, lock=lock)
    return job


def test_jobs_show_progress_best_and_age(cli, half_done):
    (row,) = (line.split("\t") for line in cli("jobs").stdout.splitlines() if half_done.id in line)
    assert row[1] == "running"
    assert re.fullmatch(r"22 % of 9 runs(, .+ left)?", row[2])
    assert re.fullmatch(r"0\.6\d+", row[3])
    assert row[4].endswith(" s")


def test_trials_show_labels_and_results(cli, half_done):
    heading, *rows = [line.split("\t") for line in cli("trials", half_done.id[:8]).stdout.splitlines()]
    assert heading == ["TRIAL", "STATE", "RESULTS", "SCHEDULE", "WHY"]
    assert [row[2] for row in rows] == ["0.9000", "0.6000", ""]
    assert all("peak" in row[3] for row in rows)
    assert [row[4] for row in rows] == ["at the horizon", "at the horizon", "trial 2"]


def test_a_running_job_has_a_report_so_far(cli, half_done):
    done = cli("report", half_done.id[:8])
    assert (done.returncode, done.stderr) == (0, "The job is running: this is its report so far.\n")
    assert "Recommended" in done.stdout
    assert all(line == line.rstrip() for line in done.stdout.splitlines())
    report = cli.json("report", half_done.id)
    assert report["recommended"]["trial"] == cli.json("show", half_done.id)["job"]["progress"]["best"]["trial"]


def test_a_run_is_named_by_the_start_of_its_id(cli, half_done):
    run_id = cli.json("runs", half_done.id)[0]["id"]
    done = cli("logs", run_id[:8])
    assert (done.returncode, done.stderr) == (0, "The run has printed nothing.\n")


def test_a_cancelled_job_keeps_its_report(cli, half_done):
    assert cli("cancel", half_done.id[:8]).returncode == 0
    done = cli("report", half_done.id[:8], "--format", "markdown")
    assert (done.returncode, done.stderr) == (0, "The job is cancelled: this is its report so far.\n")
    assert done.stdout.startswith("#")
