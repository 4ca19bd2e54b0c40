"""`tuner up` and `tuner demo` with everything real: service, worker, runner, training on real data."""

import csv
import json
import os
import signal
import sqlite3
from contextlib import closing

from tuner.cli.stack.stack import database_in
from tuner.schedules import Schedule
from tuner.store.maintenance.migrate import upgrade

SMALL = json.dumps({"search": {"seeds": 2}})
PATIENCE = 90.0
"""Seconds: torch alone may take ten to load on a busy machine."""


class TestUp:
    def test_a_job_completes_and_one_interrupt_stops_everything(self, world, tmp_path):
        data = tmp_path / "data"
        up = world.start("up", "--data-dir", str(data), "--port", str(world.port), "--device", "cpu")
        world.until(lambda: "digits-mlp" in world.cli("workloads").stdout, what="the worker's announcement")

        done = world.cli(
            "submit", "digits-mlp", "--spec", "-", "--budget", "4", "--total-steps", "60", "-w", stdin=SMALL
        )
        assert done.returncode == 0, done.stderr
        assert "job completed" in done.stdout
        assert "The job is completed. `tuner report" in done.stderr

        report = world.cli.json("report", "latest")
        assert (report["workload"], report["total_steps"]) == ("digits-mlp", 60)
        shown = world.cli.json("show", "latest")
        assert 1 < len(shown["trials"]) <= 4
        assert 0 < shown["job"]["progress"]["full_runs_spent"] <= 4
        assert world.cli("report", "latest", "--output", str(tmp_path / "answer")).returncode == 0
        assert json.loads((tmp_path / "answer" / "report.json").read_text()) == report

        recommended = Schedule.model_validate(report["recommended"]["schedule"])
        assert Schedule.from_json(world.cli("schedule", "export", "--job", "latest").stdout) == recommended
        lines = world.cli("schedule", "export", "--job", "latest", "--format", "csv").stdout.splitlines()
        assert [float(row["lr"]) for row in csv.DictReader(lines)] == recommended.lrs(60).tolist()

        pids = world.processes_of(data)
        assert set(pids) == {"service", "worker", "runner"}
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=PATIENCE) == 0
        assert world.said_by(up).splitlines()[-3:] == [
            "The worker has stopped.",
            "The service has stopped.",
            "Stopped.",
        ]
        world.until(lambda: not any(map(world.alive, pids.values())), what="the end of every process")

    def test_a_data_folder_belongs_to_one_up_at_a_time(self, world, tmp_path):
        up = world.start("up", "--data-dir", str(tmp_path), "--port", "0", "--device", "cpu")
        world.until(lambda: world.processes_of(tmp_path), what="the service")
        second = world.cli("up", "--data-dir", str(tmp_path), "--port", "0")
        assert second.returncode == 2
        assert f"--data-dir {tmp_path} is in use by process {up.pid}" in second.stderr

    def test_a_workload_that_is_not_there_is_refused_before_anything_starts(self, world, tmp_path):
        up = world.start("up", "--data-dir", str(tmp_path / "data"), "--port", "0", "--workload", "nope:Nope")
        assert up.wait(timeout=PATIENCE) == 2
        assert "There is no module 'nope' in " in world.said_by(up)
        assert not (tmp_path / "data").exists()

    def test_a_workload_that_cannot_be_imported_ends_it_with_the_cause_first_and_once(
        self, world, tmp_path, monkeypatch
    ):
        (tmp_path / "needs_another.py").write_text("import a_library_that_nobody_has")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        given = ("--data-dir", str(tmp_path / "data"), "--port", "0", "--device", "cpu")
        up = world.start("up", *given, "--workload", "needs_another:Mine")
        assert up.wait(timeout=PATIENCE) == 4
        cause = "needs_another:Mine cannot be loaded: it imports 'a_library_that_nobody_has', which is not installed"
        said = world.said_by(up)
        assert f"Error: the worker cannot start: {cause}" in said
        assert said.count("a_library_that_nobody_has") == 1
        assert "Traceback" not in said
        assert "restarting it" not in said

    def test_a_database_of_a_newer_version_ends_it_at_once_with_the_reason(self, world, tmp_path):
        upgrade(database_in(tmp_path))
        with closing(sqlite3.connect(tmp_path / "tuner.db")) as database, database:
            database.execute("UPDATE tuner_alembic_version SET version_num = '9999'")
        up = world.start("up", "--data-dir", str(tmp_path), "--port", "0", "--device", "cpu")
        assert up.wait(timeout=PATIENCE) == 4
        said = world.said_by(up)
        assert "the tables were made by another, newer version of Schedule Tuner" in said
        assert "restarting it" not in said


class TestDemo:
    def test_it_continues_after_any_kill_and_ends_with_the_report(self, world, tmp_path):
        data, output = tmp_path / "data", tmp_path / "answer"
        command = ("demo", "--budget", "4", "--total-steps", "90", "--data-dir", str(data), "--output", str(output))
        first = world.start(*command)
        world.until(lambda: "Submitted job " in world.said_by(first), what="the submission")
        world.until(lambda: ": validation loss " in world.said_by(first), what="the first result")
        pids = world.processes_of(data)
        first.kill()
        world.until(lambda: not any(map(world.alive, pids.values())), what="the end of the orphans")

        second = world.start(*command)
        world.until(lambda: "Continuing job " in world.said_by(second), what="the second demo's start")
        for name in ("service", "worker"):
            pid = world.until(lambda name=name: world.processes_of(data).get(name), what=f"the {name}")
            os.kill(pid, signal.SIGKILL)
        assert second.wait(timeout=150) == 0, world.said_by(second)
        said = world.said_by(second)
        assert "The service was killed by SIGKILL; restarting it" in said
        assert "full runs" in said
        assert json.loads((output / "report.json").read_text())["total_steps"] == 90
        assert not world.processes_of(data)

    def test_an_interrupt_stops_everything_and_says_how_to_continue(self, world, tmp_path):
        demo = world.start("demo", "--output", str(tmp_path))
        world.until(lambda: "Starting the worker" in world.said_by(demo), what="the worker's start")
        (data,) = tmp_path.iterdir()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=PATIENCE) == 130
        assert f"`tuner demo --data-dir {data}` continues the job." in world.said_by(demo)
        assert not world.processes_of(data)
