"""What an option's value may do to the arguments of a command, and what the system refuses to start."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.store.builders import OFFER
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import MAX_OPTIONS_BYTES, complete_options
from tuner.training.commands.command_process import filled
from tuner.training.options import parse_options
from tuner.training.protocol import Outcome
from tuner.training.registry import load_provider
from tuner.training.workload import describe

FILE = """
name = "script"
version = "1"
description = "A script."
command = [{command}]
default_steps = 40
optimizer = "sgd"
[options.a]
type = "string"
default = ""
description = "Text."
{of_a}
[options.b]
type = "string"
default = ""
description = "Text."
[options.n]
type = "integer"
default = 0
description = "A number."
{of_n}
[options.c]
type = "string"
default = "x"
choices = ["x", "y"]
description = "A choice."
"""


@pytest.fixture
def offer(tmp_path):
    def offer(*command: str, of_a: str = "", of_n: str = ""):
        text = FILE.replace("{command}", json.dumps(["{python}", "script.py", *command])[1:-1])
        (tmp_path / "script.toml").write_text(text.replace("{of_a}", of_a).replace("{of_n}", of_n))
        (workload,) = load_provider(str(tmp_path / "script.toml")).values()
        return workload

    return offer


@pytest.mark.parametrize("argument", ["{a}", "{a}{b}", "{a}{b}{c}", "{a}{b}=1"])
def test_no_value_makes_an_option_of_an_argument_that_begins_with_text(offer, argument):
    options = offer(argument).Options
    for values in ({"a": "--evil=1"}, {"a": "", "b": "--evil=1"}, {"b": "-"}, {"b": "--"}):
        if any(f"{{{name}}}" in argument for name in values if values[name]):
            with pytest.raises(InvalidValue, match=r"options\.(a|b)"):
                parse_options(options, values)
    assert parse_options(options, {"a": "x-y", "b": "y"}).a == "x-y"


def test_an_option_behind_text_of_the_command_may_begin_as_it_likes(offer):
    for argument in ("--name={b}", "x{b}", "{c}{b}"):
        assert parse_options(offer(argument).Options, {"b": "--x"}).b == "--x"


@given(values=st.fixed_dictionaries({"a": st.text("-ax\n", max_size=3), "b": st.text("-ax\n", max_size=3)}))
def test_whatever_is_accepted_fills_an_argument_that_is_no_option(values):
    workload = _joined()
    try:
        accepted = parse_options(workload.Options, values)
    except InvalidValue:
        assert any(value.startswith("-") for value in values.values())
        return
    assert not filled("{a}{b}", values={"a": accepted.a, "b": accepted.b}).startswith("-")


def _joined():
    with tempfile.TemporaryDirectory() as folder:
        text = FILE.replace("{command}", '"{python}", "{a}{b}"').replace("{of_a}", "").replace("{of_n}", "")
        file = Path(folder) / "script.toml"
        file.write_text(text)
        (workload,) = load_provider(str(file)).values()
        return workload


def test_a_pattern_that_lets_an_option_through_is_refused_with_the_file(offer):
    with pytest.raises(InvalidValue, match=r"options\.a\.pattern must be one that refuses '--'"):
        offer("{a}", of_a='pattern = "^[a-z-]{2,}$"')
    assert parse_options(offer("{a}", of_a='pattern = "^[a-z]*$"').Options, {"a": "fine"}).a == "fine"
    assert parse_options(offer("--a={a}", of_a='pattern = "^[a-z-]*$"').Options, {"a": "--x"}).a == "--x"


def test_a_number_that_may_be_negative_begins_no_longer_argument(offer):
    with pytest.raises(InvalidValue, match=r"options\.n\.minimum must be at least 0"):
        offer("{n}{a}")
    assert parse_options(offer("{n}{a}", of_n="minimum = 0").Options, {"a": "x"}).a == "x"
    assert parse_options(offer("--offset", "{n}").Options, {"n": -5}).n == -5


@pytest.mark.parametrize("value", ["x" * 200_000, "x" * 4_001])
def test_a_text_that_is_too_long_for_an_argument_is_refused_at_submission(offer, value):
    info = describe(offer("--a={a}"))
    with pytest.raises(
        InvalidValue, match=r"options\.a must be text of at most 4000 characters|options must be at most"
    ) as refused:
        complete_options({"a": value}, info=info)
    assert len(str(refused.value)) < 1_500
    assert complete_options({"a": "x" * 4_000}, info=info)["a"] == "x" * 4_000


def test_a_text_with_a_nul_is_refused_at_submission(offer):
    for argument in ("{a}", "--a={a}"):
        with pytest.raises(InvalidValue, match=r"options\.a"):
            complete_options({"a": "x\0y"}, info=describe(offer(argument)))


def test_options_that_are_too_long_together_are_refused_for_every_workload():
    schema = {"type": "object", "properties": {"text": {"type": "string", "default": ""}}}
    info = dataclasses.replace(OFFER, options_schema=schema)
    with pytest.raises(InvalidValue, match=f"options must be at most {MAX_OPTIONS_BYTES:,} bytes as JSON"):
        complete_options({"text": "x" * MAX_OPTIONS_BYTES}, info=info)


def test_an_argument_that_the_system_would_not_take_fails_the_run_with_its_size(offer, train, tmp_path):
    (tmp_path / "script.py").write_text("")
    ended = train(offer("--a=" + 40 * "{a}"), options={"a": "x" * 4_000})
    assert ended.outcome is Outcome.FAILED
    assert "argument 2 of the command has 160," in ended.reason


@pytest.fixture
def seen(offer, train, tmp_path):
    """Runs a command, and returns its environment."""
    body = """
import json, os
json.dump(dict(os.environ), open("seen.json", "w"))
print(json.dumps({"step": 40, "value": 0.5}), file=open(os.environ["TUNER_REPORTS"], "a"))
"""

    def run() -> dict[str, str]:
        (tmp_path / "script.py").write_text(body)
        ended = train(offer())
        assert ended.outcome is Outcome.SUCCEEDED, ended.reason
        return json.loads((tmp_path / "seen.json").read_text())

    return run


@pytest.mark.parametrize("threads", [None, "3"])
def test_a_command_computes_with_as_many_threads_as_code_in_process(seen, monkeypatch, threads):
    for name in [name for name in os.environ if name.endswith("_NUM_THREADS") or name == "TUNER_THREADS"]:
        monkeypatch.delenv(name)
    if threads:
        monkeypatch.setenv("TUNER_THREADS", threads)
    environment = seen()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TUNER_THREADS"):
        assert environment[name] == (threads or "1")


def test_what_the_workers_operator_has_set_of_threads_wins(seen, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    environment = seen()
    assert (environment["OMP_NUM_THREADS"], environment["NUMEXPR_NUM_THREADS"]) == ("7", "1")
