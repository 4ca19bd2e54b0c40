"""Commands as workloads: what they are told, what they report, and that nothing of them stays behind."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from tests.faults.harness import is_alive, wait_until
from tuner.errors import InvalidValue
from tuner.metric import Metric
from tuner.sdk import run
from tuner.training.commands import command_process
from tuner.training.protocol import Directive, Outcome
from tuner.training.registry import load_provider

FILE = """
name = "script"
version = "1"
description = "A script."
command = ["{python}", "script.py", "w={width}"]
default_steps = 40
optimizer = "sgd"
[options.width]
type = "integer"
default = 64
description = "Units."
[options.loud]
type = "boolean"
default = true
description = "Whether."
"""
REPORT = "def report(**said):\n    print(json.dumps(said), file=open(os.environ['TUNER_REPORTS'], 'a'))\n"
REMOVE = "PATH = os.environ['TUNER_REPORTS']\nos.remove(PATH)\n"


@pytest.fixture
def script(tmp_path):
    def offer(body: str):
        (tmp_path / "script.toml").write_text(FILE)
        (tmp_path / "script.py").write_text(f"import json, os, sys, time, subprocess\n{REPORT}{body}\n")
        (workload,) = load_provider(str(tmp_path / "script.toml")).values()
        return workload

    return offer


def test_a_command_gets_everything_in_its_environment(script, train, schedule, tmp_path):
    told = tmp_path / "told.json"
    body = f"""
names = [name for name in os.environ if name.startswith("TUNER_")]
files = {{name: open(os.environ[name]).read() for name in names if name.endswith("_FILE")}}
json.dump({{**os.environ, **files, "argv": sys.argv}}, open({str(told)!r}, "w"))
report(step=40, value=0.25, train_loss=0.5)
"""
    ended = train(script(body), options={"width": 8}, seed=3)
    assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, 0.25), ended.traceback
    said = json.loads(told.read_text())
    assert said["argv"] == ["script.py", "w=8"]
    assert (said["TUNER_TOTAL_STEPS"], said["TUNER_SEED"], said["TUNER_DEVICE"]) == ("40", "3", "cpu")
    assert (said["TUNER_OPTION_WIDTH"], said["TUNER_OPTION_LOUD"]) == ("8", "true")
    assert json.loads(said["TUNER_OPTIONS"]) == {"width": 8, "loud": True}
    lines = said["TUNER_LRS_FILE"].splitlines()
    assert lines[0] == "update,lr"
    assert [float(line.split(",")[1]) for line in lines[1:]] == schedule.lrs(40).tolist()
    assert json.loads(said["TUNER_SCHEDULE_FILE"]) == json.loads(schedule.to_json())
    assert Path(said["TUNER_SNAPSHOT_DIR"]).is_dir()
    assert not Path(said["TUNER_REPORTS"]).exists()


def test_a_python_command_may_print_anything(script, train, monkeypatch):
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    body = """
assert (sys.stdout.encoding, sys.stdout.errors) == ("utf-8", "backslashreplace")
print(os.fsdecode(b"caf\\xe9"), "\\u2265")
report(step=40, value=0.25)
"""
    ended = train(script(body))
    assert ended.outcome is Outcome.SUCCEEDED, ended.reason


def test_the_rates_of_a_long_run_are_written_in_constant_memory(script, train):
    steps = 400_000
    body = f"""
lines = open(os.environ["TUNER_LRS_FILE"]).readlines()
report(step={steps}, value=len(lines) - 1)
"""
    tracemalloc.start()
    ended = train(script(body), total_steps=steps)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, steps), ended.traceback
    assert most < 8 * 2**20  # a list of the rates and their array have 16 MiB


def test_reports_arrive_while_it_runs_and_a_stop_ends_all_that_it_has_started(script, train, tmp_path):
    pids = tmp_path / "pids"
    body = f"""
child = subprocess.Popen(["sleep", "600"])
open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
report(step=10, value=1.0)
report(step=20, value=0.9)
time.sleep(600)
"""
    ended = train(script(body), directive=lambda message: Directive(stop=message.point.step == 20))
    assert (ended.outcome, ended.step) == (Outcome.STOPPED, 20)
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()), what="their end")


def test_a_command_that_ignores_the_request_to_end_is_killed(script, train, tmp_path, monkeypatch):
    monkeypatch.setattr(command_process, "GRACE_SECONDS", 0.2)
    pid = tmp_path / "pid"
    body = f"""
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({str(pid)!r}, "w").write(str(os.getpid()))
report(step=10, value=1.0)
time.sleep(600)
"""
    ended = train(script(body), directive=lambda message: Directive(stop=True))
    assert (ended.outcome, ended.step) == (Outcome.STOPPED, 10)
    wait_until(lambda: not is_alive(int(pid.read_text())), what="its end")


def test_a_loss_that_is_not_finite_ends_it(script, train):
    ended = train(script("report(step=10, value=float('nan'))\ntime.sleep(600)"))
    assert ended.outcome is Outcome.DIVERGED


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sys.exit(3)", "ended with exit code 3; what it printed is in the log of the run"),
        ("os.kill(os.getpid(), 9)", "was killed by signal 9"),
        (
            "pass",
            'ended with exit code 0 and without a report; a line {"step": 40, "value": ...} is due in the file',
        ),
        ("report(step=30, value=1.0)", "after 30 of 40 updates"),
        ("report(step=10)\ntime.sleep(600)", "line 1 of the reports must be like"),
        ("report(step=10, value=1, loss=2)", "'loss' is not known"),
        ("report(step=10, value=1, final='false')", "final must be true or false, got 'false'"),
        (f"{REMOVE}os.mkfifo(PATH)", "must be in a regular file"),
        (f"{REMOVE}os.mkdir(PATH)", "must be in a regular file"),
        (f"{REMOVE}os.symlink('/dev/zero', PATH)", "must be in a regular file"),
        ("report(step=99, value=1)", r"must be updates done, a whole number in [0, 40]"),
        ("open(os.environ['TUNER_REPORTS'], 'a').write('step 10: 0.5')", "got 'step 10: 0.5'"),
    ],
)
def test_a_command_that_fails_says_why(script, train, body, reason):
    ended = train(script(body))
    assert ended.outcome is Outcome.FAILED
    assert reason in ended.reason
    assert ended.lost == ("killed by signal" in reason)


@pytest.mark.parametrize(("number", "lost"), [("SIGKILL", True), ("SIGTERM", True), ("SIGSEGV", False)])
def test_a_command_that_is_killed_from_outside_is_lost_and_one_that_crashes_has_failed(script, train, number, lost):
    ended = train(script(f"import signal; os.kill(os.getpid(), signal.{number}); time.sleep(600)"))
    assert (ended.outcome, ended.lost) == (Outcome.FAILED, lost)


def test_a_program_that_does_not_exist_is_a_failure(script, train, tmp_path):
    workload = script("")
    type(workload).command = ("no-such-program",)
    assert "cannot start 'no-such-program': No such file" in train(workload).reason
    type(workload).folder = tmp_path / "gone"
    assert "cannot be started in" in train(workload).reason


def test_a_script_reports_through_the_sdk_without_torch_and_runs_alone_too(script, train, tmp_path):
    body = f"""
from tuner.sdk import run
run = run(total_steps=30, options={{"width": 1}})
assert "torch" not in sys.modules
for step in run.evaluate_at:
    run.report(step, value=run.lr(step - 1))
json.dump([run.attached, run.total_steps, run.options["width"], run.seed, len(run.reports), str(run.snapshot_dir)],
          open({str(tmp_path / "said")!r}, "w"))
"""
    ended = train(script(body), options={"width": 8}, seed=5)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert [message.point.val_loss for message in train.evaluated] == [m.point.lr for m in train.evaluated]
    attached = json.loads((tmp_path / "said").read_text())
    assert attached[:5] == [True, 40, 8, 5, 4]

    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=True)
    alone = json.loads((tmp_path / "said").read_text())
    assert alone[:5] == [False, 30, 1, 0, 3]
    assert not Path(alone[5]).exists()


def test_of_several_processes_the_first_reports(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    second = run(total_steps=10)
    second.report(10, value=1.0)
    assert not second.reports
    monkeypatch.setenv("RANK", "0")
    first = run(total_steps=10)
    first.report(10, value=1.0)
    assert [report.step for report in first.reports] == [10]


METRIC = '[metric]\nname = "accuracy"\nunit = "%"\n'


def test_a_command_may_declare_a_metric_that_its_reports_are_of(script, train, tmp_path):
    body = (
        "metric = json.loads(os.environ['TUNER_METRIC'])\nreport(step=40, value=93.5 if metric['unit'] == '%' else 0)"
    )
    script(body)
    (tmp_path / "script.toml").write_text(FILE + METRIC + 'direction = "maximize"\n')
    (workload,) = load_provider(str(tmp_path / "script.toml")).values()
    assert workload.metric == Metric(name="accuracy", direction="maximize", unit="%")
    ended = train(workload, metric=workload.metric)
    assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, -93.5), ended.traceback


def test_a_command_whose_metric_sounds_maximized_and_has_no_direction_is_refused_with_what_to_write(tmp_path):
    (tmp_path / "script.toml").write_text(FILE + METRIC)
    with pytest.raises(InvalidValue, match=r'metric.direction must be "maximize" or "minimize".*direction="maximize"'):
        load_provider(str(tmp_path / "script.toml"))


def test_a_misspelt_key_of_the_file_is_named_and_not_the_one_that_it_leaves_missing(tmp_path):
    (tmp_path / "script.toml").write_text(FILE.replace("default_steps", "defualt_steps"))
    with pytest.raises(InvalidValue, match=r"got 'defualt_steps'\. Did you mean default_steps\?"):
        load_provider(str(tmp_path / "script.toml"))
