"""``tuner workload``: the files that `new` writes pass `check` unchanged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuner.cli.main import app

TUNER = Path(sys.executable).with_name("tuner")


def tuner(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["workload", *arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """An empty working directory; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    return tmp_path


@pytest.mark.parametrize("level", ["declared", "stepwise", "opaque"])
@pytest.mark.usefixtures("project")
def test_a_new_workload_passes_its_check_unchanged(level):
    code, _, said = tuner("new", f"my_{level}.py", "--level", level)
    assert (code, said) == (0, f"Wrote my_{level}.py. Check it: `tuner workload check my_{level}:MyWorkload`.\n")
    code, shown, _ = tuner("check", f"my_{level}:MyWorkload", "--option", "width=8")
    assert code == 0, shown
    assert f"my-{level} (version 1, {level})" in shown
    assert "All rules hold." in shown
    assert "Time per update on cpu" in shown


def test_an_existing_file_is_left_alone(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("mine")
    code, _, said = tuner("new", str(file))
    assert code == 2
    assert "must be a file that does not exist yet" in said
    assert file.read_text() == "mine"
    code, _, said = tuner("new", str(tmp_path / "no_folder" / "mine.py"))
    assert (code, said.partition(", got ")[0]) == (2, "Error: FILE must be in a folder that exists")
    assert "a name that Python can import" in tuner("new", str(tmp_path / "my-tuning.py"))[2]


def test_a_broken_rule_ends_with_1_and_json_is_all_that_is_printed(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from tuner import OpaqueWorkload, OptimizerKind\n"
        "print('imported')\n"
        "class Silent(OpaqueWorkload):\n"
        "    name, version, description = 'silent', '1', 'Says nothing.'\n"
        "    default_steps, optimizer = 40, OptimizerKind.SGD\n"
        "    def train(self, run, options): print('trained')\n"
    )
    command = [str(TUNER), "workload", "check", "mine:Silent", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (report,) = json.loads(done.stdout)
    assert (report["ok"], report["level"], report["workload"]["name"]) == (False, "opaque", "silent")
    (broken,) = [finding for finding in report["findings"] if finding["mark"] == "broken"]
    assert broken["detail"].startswith("the training ended without a report")  # no place in the tuner's own code
    assert "trained" in done.stderr


def test_code_that_does_not_import_or_describe_itself_ends_with_1_and_the_reason(project):
    (project / "gone.py").write_text("import a_library_that_nobody_has")
    code, shown, said = tuner("check", "gone:Mine")
    assert (code, shown) == (1, "")
    assert said == (
        "Broken: gone:Mine cannot be loaded: it imports 'a_library_that_nobody_has', which is not installed here\n"
    )


@pytest.mark.parametrize(
    ("how", "code", "detail"),
    [
        ("lambda step: True", 0, "All rules hold."),
        ("lambda step: False", 1, "it had not ended 2 s after its start, and made no update and no report"),
        ("lambda step: step <= 20", 1, "its result is in, but it had not ended 2 s after the report after 20 of 20"),
    ],
)
def test_the_check_of_a_script_that_never_stops_ends(project, how, code, detail):
    (project / "endless.toml").write_text(
        'name = "endless"\nversion = "1"\ndescription = "Trains on for ever."\n'
        'command = ["{python}", "train.py"]\ndefault_steps = 40\noptimizer = "sgd"\n'
    )
    (project / "train.py").write_text(
        "import random, time\n"
        "from tuner.sdk import run as tuner_run\n"
        f"run, reports, step = tuner_run(), {how}, 0\n"
        "while True:\n"
        "    step += 10\n"
        "    if reports(step):\n"
        "        run.report(step, value=random.Random(run.seed * 1000 + step).random())\n"
        "    time.sleep(0.01)\n"
    )
    found, shown, said = tuner("check", "endless.toml", "--silence-limit", "2")
    assert (found, detail in shown) == (code, True), shown
    assert "  a whole run: 20 updates\n" in said
