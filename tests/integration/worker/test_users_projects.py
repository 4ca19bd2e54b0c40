"""Real projects of users, in folders of their own, trained by a worker that is installed from the wheel."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Site, is_alive, wait_until
from tests.wheels import ROOT, Environment, build
from tuner import Metric, Report
from tuner.cli.stack.stack import free_port
from tuner.client import Client
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState, RunState, is_terminal
from tuner.report.terminal.page import render_text
from tuner.search.settings import SearchSettings
from tuner.search.space import default_space

# Modules with the names of our source folders, all of them imported by the training code.
PROJECT = {
    "service/__init__.py": "WHOSE = 'theirs'",
    "service/settings.py": "WHOSE = 'theirs'",
    "worker.py": "WHOSE = 'theirs'",
    "tests/__init__.py": "WHOSE = 'theirs'",
    "tuner_tools.py": "WHOSE = 'theirs'",
    "my_project/__init__.py": "",
    "my_project/tuning.py": """
import migrations, service, service.settings, tests, tuner_tools, worker
import torch
from tuner import Metric, OpaqueWorkload, OptimizerKind

class Finetune(OpaqueWorkload):
    name, version, default_steps, optimizer = "finetune", "1", 20, OptimizerKind.SGD
    description = " ".join(m.WHOSE for m in (migrations, service, service.settings, tests, tuner_tools, worker))

    def train(self, run, options):
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        scheduler = run.scheduler(optimizer)
        for step in range(run.total_steps):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()
            scheduler.step()
            if step + 1 in run.evaluate_at:
                run.report(step + 1, value=(weight**2).sum())

class Scored(Finetune):
    name, description = "scored", "Judged by an accuracy: 100 % where the weights are 0."
    metric = Metric(name="accuracy", direction="maximize", unit="%")

    def train(self, run, options):
        report = run.report
        run.report = lambda step, value: report(step, value=100.0 / (1.0 + float(value)))
        super().train(run, options)
""",
    "command.toml": """
name = "forker"
version = "1"
description = "Starts a process of its own, reports, and hangs where it is asked to."
command = ["{python}", "forker.py", "{hang}", "{note}"]
default_steps = 20
optimizer = "sgd"
[options.hang]
type = "boolean"
default = false
description = "Whether it hangs."
[options.note]
type = "string"
default = "$(touch pwned); `touch pwned` && touch pwned"
description = "Anything."
""",
    "forker.py": """
import json, os, pathlib, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid}")
pathlib.Path("note").write_text(sys.argv[2])
if sys.argv[1] == "true":
    time.sleep(600)
with open(os.environ["TUNER_REPORTS"], "a") as file:
    print(json.dumps({"step": int(os.environ["TUNER_TOTAL_STEPS"]), "value": 0.5}), file=file)
""",
}
# What they install beside us. In the project's folder its own `service` and `worker` come before these.
INSTALLED = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "their-plugin"
version = "1.0"
[project.entry-points."schedule_tuner.workloads"]
plugin = "their_plugin:Plugin"
broken = "broken_plugin:Broken"
[tool.hatch.build.targets.wheel]
include = ["*.py"]
""",
    "service/__init__.py": "WHOSE = 'nobody'",
    "service/__main__.py": "raise SystemExit('the wrong service was started')",
    "worker/__init__.py": "WHOSE = 'nobody'",
    "worker/__main__.py": "raise SystemExit('the wrong worker was started')",
    "migrations/__init__.py": "WHOSE = 'theirs'",
    "their_plugin.py": """
from my_project.tuning import Finetune
class Plugin(Finetune):
    name = "their-plugin"
""",
    "broken_plugin.py": "import a_library_that_nobody_has",
}


def written(files: dict[str, str], *, into: Path) -> Path:
    for name, text in files.items():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).write_text(text)
    return into


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(PROJECT, into=tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Our wheel and theirs, installed side by side."""
    wheels = tmp_path_factory.mktemp("wheels")
    build(ROOT, wheels)
    build(written(INSTALLED, into=tmp_path_factory.mktemp("installed")), wheels)
    environment = Environment(tmp_path_factory.mktemp("environment") / "venv")
    environment.install(*wheels.glob("*.whl"))
    return environment


@pytest.fixture(scope="module")
def worker(
    project: Path, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, subprocess.Popen[bytes]]]:
    """A worker started in the project as people start it."""
    site = Site(tmp_path_factory.mktemp("site"), infos=())
    workloads = ("my_project.tuning:Finetune", "my_project.tuning:Scored", "command.toml")
    offered = [word for workload in workloads for word in ("--workload", workload)]
    with (site.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [str(environment.bin / "tuner"), "worker", "--name", "w", "--device", "cpu", *offered],
            cwd=project,
            env={
                **os.environ,
                "TUNER_DATABASE_URL": site.url,
                "TUNER_DATA_DIR": str(site.folder),
                "TUNER_POLL_INTERVAL": "0.05",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def announced() -> bool:
        assert process.poll() is None, (site.folder / "worker.log").read_text()
        return any(info.name == "finetune" for info in site.store.workers.workloads())

    try:
        wait_until(announced, what="the worker's offers")
        yield site, process
    finally:
        process.kill()
        process.wait()
        site.close()


def test_a_project_with_modules_called_like_our_folders_is_trained_with_its_own(worker):
    site, _ = worker
    assert site.store.workers.workload("finetune").description == " ".join(["theirs"] * 6)
    run = site.wait_over(site.enqueue("finetune", options={}, total_steps=20))
    assert (run.state, run.error) == (RunState.SUCCEEDED, None)
    assert run.loss == pytest.approx(3 * 0.9**40)


def test_a_service_started_beside_theirs_is_ours(project, environment, tmp_path):
    port = free_port("127.0.0.1")
    arguments = ("serve", "--port", str(port), "--data-dir", str(tmp_path))
    environ = {**os.environ, "TUNER_DATABASE_URL": f"sqlite:///{tmp_path}/tuner.db"}
    process = subprocess.Popen([str(environment.bin / "tuner"), *arguments], cwd=project, env=environ)
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            client.wait_ready(60)
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_job_judged_by_accuracy_is_maximized_by_a_real_worker_without_a_minus_sign(worker):
    site, _ = worker
    info = site.store.workers.workload("scored")
    space = default_space(info.optimizer, peak_lr=(1e-4, 0.4))
    search = SearchSettings(total_steps=20, budget=5, space=space)
    job = site.store.jobs.submit(JobSpec(workload="scored", search=search))
    wait_until(lambda: is_terminal(site.store.jobs.get(job.id).state), what="the end of the job")
    ended = site.store.jobs.get(job.id)
    assert (ended.state, ended.error) == (JobState.COMPLETED, None)
    report = Report.model_validate(site.store.jobs.report(job.id))
    values = [run.value for trial in report.trials for run in trial.runs if run.value is not None]
    assert report.metric == Metric(name="accuracy", direction="maximize", unit="%")
    assert min(values) > 0
    expected = [one.expected for one in report.candidates if one.expected is not None]
    assert report.recommended.expected == max(expected)
    text = render_text(report, width=100)
    assert "accuracy" in text
    assert not re.search(r"accuracy -|-\d[\d.]* %", text)


def test_a_check_finds_the_modules_that_a_worker_would_find(project, environment):
    command = [str(environment.bin / "tuner"), "workload", "check", "my_project.tuning:Finetune"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert " ".join(["theirs"] * 6) in done.stdout, done.stderr


def test_installed_packages_bring_workloads_and_a_broken_one_is_logged_and_left_out(worker):
    site, _ = worker
    assert site.store.workers.workload("their-plugin").level.value == "opaque"
    log = (site.folder / "worker.log").read_text()
    assert "workload.refused" in log
    assert "broken = broken_plugin:Broken (their-plugin): ModuleNotFoundError: No module named 'a_library" in log
    run = site.wait_over(site.enqueue("their-plugin", options={}, total_steps=20))
    assert run.state is RunState.SUCCEEDED


def test_what_a_command_leaves_running_ends_with_it_and_no_shell_reads_its_options(worker, project):
    site, _ = worker
    run = site.wait_over(site.enqueue("forker", options={"note": "; touch pwned #"}, total_steps=20))
    assert (run.state, run.loss, run.error) == (RunState.SUCCEEDED, 0.5, None)
    assert (project / "note").read_text() == "; touch pwned #"
    assert not (project / "pwned").exists()
    assert not any(is_alive(int(pid)) for pid in (project / "pids").read_text().split())


def test_a_command_dies_with_a_worker_that_is_killed(worker, project):
    site, process = worker
    (project / "pids").unlink(missing_ok=True)
    site.enqueue("forker", options={"hang": True}, total_steps=20)
    pids = wait_until(
        lambda: (project / "pids").exists() and (project / "pids").read_text().split(), what="the command"
    )
    assert len(pids) == 2
    assert all(is_alive(int(pid)) for pid in pids)
    process.kill()
    process.wait()
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids), what="the end of the command")
