"""What CI runs: the suite, the checks, and every part of `make test-all` for which there is time."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".ci" / "run"
TOO_LATE = 40 * 60

MAKE = """#!/bin/sh
echo "ran $1"
[ "$1" != "$FAILS" ]
"""


def parts() -> list[str]:
    return re.findall(r"^part (\S+) \d+(?: [A-Z]+=\S+)*$", SCRIPT.read_text(), flags=re.MULTILINE)


@pytest.fixture
def ci(tmp_path):
    """Run the script with a `make` that only says what it was called for."""
    make = tmp_path / "make"
    make.write_text(MAKE)
    make.chmod(0o755)

    def run(*, fails: str = "", after: int = 0) -> subprocess.CompletedProcess[str]:
        # bash counts its seconds on from what it finds in its environment.
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "FAILS": fails, "SECONDS": str(after)}
        return subprocess.run(["bash", SCRIPT], env=environment, capture_output=True, text=True, check=False)

    return run


def ran(done: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"^ran (\S+)$", done.stdout, flags=re.MULTILINE)


def test_its_parts_are_those_of_test_all_in_the_same_order():
    (prerequisites,) = re.findall(r"^test-all: (.*?) ##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert ["test", *parts()] == prerequisites.split()


def test_it_runs_the_suite_the_checks_and_every_part(ci):
    done = ci()
    assert (done.returncode, ran(done)) == (0, ["test", "check", *parts()])
    assert "Left out" not in done.stdout


@pytest.mark.parametrize("name", ["test", "check"])
def test_a_suite_or_a_check_that_fails_ends_it(ci, name):
    done = ci(fails=name)
    assert done.returncode != 0
    assert ran(done)[-1] == name


@pytest.mark.parametrize("name", parts())
def test_a_part_that_fails_fails_it_after_the_others_have_run(ci, name):
    done = ci(fails=name)
    assert (done.returncode, ran(done)[2:]) == (1, parts())
    assert done.stderr.endswith(f"Failed: {name}\n")


def test_no_part_begins_after_40_minutes_and_those_left_out_are_printed(ci):
    done = ci(after=TOO_LATE)
    assert (done.returncode, ran(done)) == (0, ["test", "check"])
    assert done.stdout.endswith(f"Left out, for want of time: {' '.join(parts())}\n")


def test_all_parts_end_before_ci_does():
    limits = re.findall(r"^part \S+ (\d+)$", SCRIPT.read_text(), flags=re.MULTILINE)
    assert all(TOO_LATE / 60 + int(minutes) < 90 for minutes in limits)
