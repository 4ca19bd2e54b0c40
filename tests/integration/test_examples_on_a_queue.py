"""The commands of docs/workloads.md, run in the folders of the examples."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.faults.harness import wait_until
from tests.integration.store.databases import empty_url, postgres  # noqa: F401
from tuner.cli.stack.stack import database_in, free_port
from tuner.client import Client, ServiceUnreachable
from tuner.jobs.states import JobState, RunState
from tuner.schedules import Schedule
from tuner.store import Store

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TUNER = Path(sys.executable).with_name("tuner")
STEPS = 10
SMALL = {"search": {"budget": 2, "trials": 2, "seeds": 1}}
PATIENCE_SECONDS = 120.0  # torch and transformers alone take ten to load on a busy machine


@dataclass(frozen=True)
class Terminal:
    """Runs commands in a folder, as somebody without a login file would."""

    folder: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TUNER_URL": self.url, "XDG_CONFIG_HOME": "/nowhere"}

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [TUNER, *arguments],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def tuner_up(terminal: Terminal, *arguments: str, workload: str, log: Path) -> Iterator[None]:
    """`tuner up` in the terminal's folder, from when it offers the workload until an interrupt ends it."""
    port = terminal.url.rpartition(":")[2]
    with log.open("w") as output:
        up = subprocess.Popen(
            [TUNER, "up", "--port", port, "--device", "cpu", *arguments],
            cwd=terminal.folder,
            env=terminal.environment,
            stdout=output,
            stderr=output,
        )

    def offers() -> bool:
        assert up.poll() is None, log.read_text()
        try:
            return workload in {offered.name for offered in client.workloads()}
        except ServiceUnreachable:
            return False

    try:
        with Client(terminal.url) as client:
            wait_until(offers, what=f"a worker that offers {workload}", seconds=PATIENCE_SECONDS)
        yield
        up.send_signal(signal.SIGINT)
        assert up.wait(PATIENCE_SECONDS) == 0, log.read_text()
    finally:
        up.kill()
        up.wait()


@pytest.mark.parametrize(
    ("example", "provider", "workload", "needs"),
    [
        ("nanogpt_loop", "tuning:NanoGpt", "nanogpt", "torch"),
        pytest.param("hf_trainer", "tuning:HfLlama", "hf-llama", "accelerate", marks=pytest.mark.frameworks),
        pytest.param(
            "lightning_module", "tuning:LightningDigits", "lightning-digits", "lightning", marks=pytest.mark.frameworks
        ),
    ],
)
def test_a_job_goes_from_the_folder_of_a_training_script_to_its_exported_schedule(
    example,
    provider,
    workload,
    needs,
    empty_url,  # noqa: F811
    tmp_path,
):
    if find_spec(needs) is None:
        pytest.skip(f"NOT TESTED HERE: {needs} is not installed; `make examples` installs it and runs this")
    on_sqlite = empty_url == database_in(tmp_path)
    terminal = Terminal(EXAMPLES / example, url=f"http://127.0.0.1:{free_port('127.0.0.1')}")
    database = []
    if not on_sqlite:
        database = ["--database-url", empty_url]
        terminal("db", "upgrade", *database)
        database += ["--auth", "off"]

    arguments = ("--data-dir", str(tmp_path), *database, "--workload", provider)
    with tuner_up(terminal, *arguments, workload=workload, log=tmp_path / "up.log"):
        submit = ("submit", workload, "--total-steps", str(STEPS), "--spec", "-", "--watch")
        assert "job completed" in terminal(*submit, stdin=json.dumps(SMALL))
        report = json.loads(terminal("report", "latest", "--json"))
        exported = terminal("schedule", "export", "--job", "latest", "--format", "csv").splitlines()

    assert (report["workload"], report["total_steps"]) == (workload, STEPS)
    rows = list(csv.DictReader(exported))
    recommended = Schedule.model_validate(report["recommended"]["schedule"])
    assert [int(row["update"]) for row in rows] == list(range(STEPS))
    assert [float(row["lr"]) for row in rows] == recommended.lrs(STEPS).tolist()

    assert [path.name for path in tmp_path.glob("*.db")] == (["tuner.db"] if on_sqlite else [])
    store = Store.open(empty_url)
    try:
        assert store.jobs.get(report["job_id"]).state is JobState.COMPLETED
        runs = store.runs.list(report["job_id"]).items
    finally:
        store.close()
    assert len({run.trial_number for run in runs}) == SMALL["search"]["trials"]
    assert {(run.state, run.attempts) for run in runs} == {(RunState.SUCCEEDED, 1)}
