"""The commands and the code of the README work unchanged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tuner.cli.stack.stack import Stack, free_port, running
from tuner.report.terminal.page import render_text

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def block_with(text: str, *, language: str) -> str:
    return next(block for block in blocks(language) if text in block)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The service and a worker, as `tuner up` runs them."""
    stack = Stack(data_dir=tmp_path_factory.mktemp("readme"), port=free_port("127.0.0.1"), devices=("cpu",))
    with running(stack, say=lambda line: None):
        wait = [str(BIN / "tuner"), "workloads", "--json"]
        environment = {**os.environ, "TUNER_URL": stack.url, "PATH": f"{BIN}:{os.environ['PATH']}"}
        script = f"until {' '.join(wait)} | grep -q digits-mlp; do :; done"
        subprocess.run(["bash", "-c", script], env=environment, check=True, timeout=90)
        yield environment


def shell(script: str, *, environment: dict[str, str], folder: Path) -> str:
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_job_can_be_submitted_and_read_with_curl_alone(service, tmp_path):
    assert shutil.which("curl"), "the README's requests need curl"
    script = block_with("curl", language="sh").replace("http://127.0.0.1:8642", service["TUNER_URL"])
    printed = shell(script, environment=service, folder=tmp_path)
    assert "event: job.completed" in printed
    rows = printed.split("update,lr\n", 1)[1].splitlines()  # the report's JSON before it ends without a line break
    assert [row.split(",")[0] for row in rows] == [str(update) for update in range(600)]


def test_the_commands_of_the_readme_run(service, tmp_path):
    script = block_with("tuner submit", language="sh")
    small = '{"search": {"total_steps": 60, "budget": 3}}'
    for end in ("--budget 5 --dry-run", "--watch", "0.1:log"):
        assert end in script
        script = script.replace(end, f"{end.removeprefix('--budget 5')} --spec - <<< '{small}'")
    assert script.startswith("tuner up")
    printed = shell(script.split("\n", 1)[1], environment=service, folder=tmp_path)
    assert "At most 3 full runs" in printed
    assert "Compared" in printed
    assert (tmp_path / "lr.csv").read_text().startswith("update,lr\n")


def titles(screen: str) -> list[str]:
    """The titles of a report's sections on a terminal: lines before indented ones, up to their first comma or colon.

    Advice is left out: not every study gives cause for any.
    """
    body = screen.partition("In your training script")[0]
    found = [re.split("[,:]", line)[0] for line in re.findall(r"\n\n(\S.*)\n  ", body)]
    return [title for title in found if title != "Advice"]


def heads(screen: str) -> set[str]:
    """The heads of the tables in a report on a terminal."""
    return {" ".join(line.split()) for line in re.findall(r"^  against .*$", screen, flags=re.MULTILINE)}


def test_the_notebook_lines_of_the_readme_run_and_its_screen_has_the_sections_and_tables_of_a_report():
    code = block_with("tuner.tune(", language="python")
    code = code.replace("budget=5, total_steps=600", "budget=3, total_steps=60, device='cpu'")
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["schedule"]
    screen = re.findall(r"```\n(╭.*?)```", README, flags=re.DOTALL)[0]
    shown = render_text(names["report"])
    assert titles(screen) == titles(shown)
    assert heads(shown) == heads(screen) == {"against gain, 95 % interval verdict"}


def test_the_training_lines_of_the_readme_run():
    import torch

    names: dict[str, Any] = {"optimizer": torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)}
    exec(block_with("ScheduleLR(", language="python"), names)
    assert names["scheduler"].get_last_lr() == [pytest.approx(3e-3 / 500)]


def test_every_page_that_the_readme_links_to_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target
