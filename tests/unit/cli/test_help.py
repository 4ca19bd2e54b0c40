"""Help texts: what a newcomer reads first."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from tests.unit.cli.test_main import COMMANDS, GROUPS
from tuner.cli.help import examples, summary
from tuner.cli.main import app

FILTER = ("Only", "An option of the workload", "Offer a workload")
"""Starts of the help of options that change nothing where they are left out."""


def help_of(*words: str) -> str:
    return CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"}).stdout


ROOT = help_of()


def test_the_list_of_commands_is_in_groups_of_a_few():
    sections = re.findall(r"^(\S[^\n]*):\n((?:  .+\n?)+)", ROOT, flags=re.MULTILINE)
    groups = {heading: rows.count("\n") for heading, rows in sections if heading not in ("Options", "Examples")}
    assert len(groups) >= 5
    assert max(groups.values()) <= 9


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_a_whole_line_of_its_list(name):
    text = summary(COMMANDS[name].help)
    assert text
    assert len(text) <= 78 - 2 - len("deliveries") - 2


def test_no_summary_is_cut():
    assert "..." not in ROOT.replace("[ARGS]...", "")


@pytest.mark.parametrize("name", [*GROUPS, *COMMANDS])
def test_every_command_and_every_group_has_an_example_that_it_accepts(name, tmp_path, monkeypatch):
    (tmp_path / "my_tuning.py").touch()
    monkeypatch.chdir(tmp_path)
    lines = examples({**GROUPS, **COMMANDS}[name].help)
    assert lines
    for line in lines:
        words = shlex.split(line.partition("  ")[0])
        assert " ".join(words).startswith(name)
        assert len(line) <= 74
        accepts(words)


def accepts(words: list[str]) -> None:
    """Parse the words of a command as far as it takes them, without running it."""
    most = max((name for name in COMMANDS if words[: len(name.split())] == name.split()), key=len)
    COMMANDS[most].make_context(most, words[len(most.split()) :])


@pytest.mark.parametrize("name", GROUPS)
def test_the_help_of_a_group_shows_its_examples(name):
    page = help_of(*name.split()[1:])
    assert all(f"  {line}\n" in page for line in examples(GROUPS[name].help))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_page_fits_80_columns_and_shows_no_notation_of_the_program(name):
    page = help_of(*name.split()[1:])
    assert max(map(len, page.splitlines())) <= 80
    usage = page.split("\n\n")[0]
    assert not re.search(r"[{}<]|\[\[", usage)
    assert not re.search(r"<(str|int|float|list|path|file)\b|int range|>=", page)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_with_a_value_says_what_holds_without_it(name):
    for option in COMMANDS[name].params:
        if option.param_type_name != "option" or option.is_flag or option.required:
            continue
        says = isinstance(option.show_default, str) or option.default not in (None, "", ())
        assert says or option.help.startswith(FILTER) or is_optional(name, option.name), option.opts


def is_optional(command: str, name: str) -> bool:
    """Options that change, name or add something: without them nothing is changed, named or added."""
    texts = ("reason", "name", "notes", "label", "output", "format")
    sources = ("family", "parameters", "spec", "job", "trial", "origin", "vary", "optimizer", "event")
    return command.rpartition(" ")[2] in ("set", "clone") or name in (*texts, *sources)


def test_options_in_groups_have_those_of_every_command_last():
    page = help_of("submit")
    headings = re.findall(r"^(\S[^\n]*):$", page, flags=re.MULTILINE)
    assert headings[0] == "Arguments"
    assert headings[-2:] == ["Service and output", "Examples"]
    assert len(headings) >= 6


def test_choices_and_limits_are_in_words():
    assert "[one of queued, running, paused, completed, cancelled, failed]" in " ".join(help_of("jobs").split())
    assert "--priority low|normal|high" in help_of("submit")
    assert "[default: 20; from 1]" in help_of("jobs")
