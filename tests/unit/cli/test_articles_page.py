"""The page of what articles say: each row has a command or a line of code, which exist as they are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.cli.test_main import COMMANDS
from tuner.cli.main import app

PAGE = (Path(__file__).parents[3] / "docs" / "articles.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| (.+?) \| (.+) \|$", PAGE, flags=re.MULTILINE)
LINES = [code for _, _, here in ROWS for code in re.findall(r"`(tuner [^`]+)`", here)]


def test_all_rows_are_there_once():
    assert sorted(int(number) for number, _, _ in ROWS) == list(range(1, 29))


@pytest.mark.parametrize(("number", "here"), [(number, here) for number, _, here in ROWS])
def test_a_row_says_what_to_do(number: str, here: str):
    assert "`" in here or "](" in here


@pytest.mark.parametrize("line", LINES)
def test_a_command_is_one_that_the_program_accepts(line: str):
    words = shlex.split(line)
    name = max((name for name in COMMANDS if words[: len(name.split())] == name.split()), key=len)
    COMMANDS[name].make_context(name, words[len(name.split()) :])


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("tuner schedule")])
def test_a_schedule_of_the_page_can_be_drawn_scaled_or_exported(line: str):
    done = CliRunner().invoke(app, shlex.split(line)[1:], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.stderr
    assert done.stdout
