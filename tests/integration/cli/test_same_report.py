"""Killing processes during a demo does not change its report."""

import json
import os
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

KILLS = ((1, "runner"), (3, "worker"), (5, "service"), (7, "runner"), (9, "worker"))
"""After how many results which process is killed."""


def demo(world, folder: Path):
    command = ("demo", "--budget", "10", "--total-steps", "120", "--seed", "3")
    return world.start(*command, "--data-dir", str(folder / "data"), "--output", str(folder / "answer"))


def answer(folder: Path):
    """The report, without the job's name and its cost: updates that were repeated are counted, as they should be."""
    text = (folder / "answer" / "report.json").read_text()
    report = json.loads(text.replace(json.loads(text)["job_id"], "JOB"))
    return {key: value for key, value in report.items() if key not in {"job_id", "cost", "summary"}}


@pytest.mark.timeout(400)
def test_killing_runner_worker_and_service_does_not_change_the_report(world, tmp_path):
    undisturbed = demo(world, tmp_path / "undisturbed")
    assert undisturbed.wait(timeout=120) == 0, world.said_by(undisturbed)
    said = world.said_by(undisturbed)
    last_line = [line for line in said.splitlines() if line.startswith("100%, ")][-1]
    recommended = answer(tmp_path / "undisturbed")["recommended"]
    assert f", trial {recommended['trial']}, {recommended['label']}" in last_line
    assert "What next:" in said.rpartition("Wrote to ")[2]

    folder = tmp_path / "disturbed"
    disturbed = demo(world, folder)
    for results, victim in KILLS:
        world.until(
            lambda n=results: world.said_by(disturbed).count(": validation loss ") >= n, what=f"{results} results"
        )
        pid = world.until(lambda name=victim: world.processes_of(folder / "data").get(name), what=f"the {victim}")
        os.kill(pid, signal.SIGKILL)
    assert disturbed.wait(timeout=120) == 0, world.said_by(disturbed)

    assert answer(folder) == answer(tmp_path / "undisturbed")
    with closing(sqlite3.connect(folder / "data" / "tuner.db")) as database:
        runs = database.execute("SELECT trial_id, seed, state FROM tuner_runs").fetchall()
        ended = "SELECT kind, data FROM tuner_events WHERE kind IN ('run.succeeded', 'run.stopped')"
        told = database.execute(ended).fetchall()
    assert {"succeeded"} <= {state for *_, state in runs} <= {"succeeded", "stopped"}
    assert len(set(runs)) == len(runs)
    recorded = Counter(json.loads(data)["run"] for _, data in told)
    assert set(recorded.values()) == {1}
    assert len(recorded) == len(runs)
