"""What of a traceback the people who wrote the training code get to see."""

from __future__ import annotations

import fractions
import importlib
import re
import sys
import sysconfig
from pathlib import Path

import pytest
import torch

from tuner.training.options import WorkloadOptions, parse_options
from tuner.training.runner.tracebacks import MAX_CHARACTERS, first_line, format_user_traceback
from tuner.workloads import builtin_workloads


class Mine:
    """Stands for a workload in a module of the user's."""


def told(call, *, workload: type = Mine) -> str:
    try:
        call()
    except BaseException as error:
        return format_user_traceback(error, workload=workload)
    raise AssertionError("nothing was raised")


def files(text: str) -> list[str]:
    return [Path(name).name for name in re.findall(r'File "([^"]+)"', text)]


def test_frames_below_the_users_last_one_are_counted_and_named():
    text = told(lambda: torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(3, 2))(torch.zeros(1, 2)))
    assert set(files(text)) == {Path(__file__).name}
    assert re.search(r"\n  \[\d+ frames of torch left out\]\nRuntimeError: mat1 and mat2 shapes cannot be multi", text)


def test_frames_of_ours_are_counted_and_the_standard_librarys_are_pythons():
    text = told(lambda: parse_options(Broken, {}))
    assert "\n  [1 frame of tuner left out]\n" in text
    assert files(text) == [Path(__file__).name] * 3
    text = told(lambda: fractions.Fraction("x"))
    assert "  [1 frame of Python left out]\nValueError: Invalid literal" in text


class Broken(WorkloadOptions):
    @classmethod
    def model_validate(cls, *args, **kwargs):
        raise LookupError("broken options")


def test_an_error_that_never_passed_the_users_code_is_shown_whole():
    ours = next(iter(builtin_workloads().values()))
    try:
        parse_options(ours.Options, {"no-such-option": 1})
    except Exception as error:
        inside = error.with_traceback(error.__traceback__.tb_next)
        text = format_user_traceback(inside, workload=Mine)
    assert "left out" not in text
    assert "options.py" in files(text)


def test_causes_contexts_groups_and_notes_are_included():
    def chained() -> None:
        try:
            try:
                raise OSError("the disk is gone")
            except OSError as error:
                raise KeyError("no data") from error
        except KeyError as error:
            error.add_note("while it was read")
            raise ExceptionGroup("two things", [error, ValueError("a hole")]) from None

    text = told(chained)
    for part in (
        "the disk is gone",
        "direct cause",
        "KeyError: 'no data'",
        "while it was read",
        "two things",
        "a hole",
    ):
        assert part in text


def test_a_message_is_whole_and_without_end_it_is_cut_in_its_middle():
    message = "\n".join(f"line {number}" for number in range(1000))
    assert message in told(lambda: fail(message))
    text = told(lambda: fail("begin " + "x" * 10 * MAX_CHARACTERS + " end"))
    assert len(text) < MAX_CHARACTERS + 100
    assert "ValueError: begin" in text
    assert text.endswith(" end\n")
    assert "characters left out]" in text


def fail(message: str) -> None:
    raise ValueError(message)


def test_recursion_takes_a_line_and_not_a_thousand():
    def even(depth: int) -> None:
        odd(depth)

    def odd(depth: int) -> None:
        even(depth)

    text = told(lambda: even(0))
    assert "frames of the same code left out]" in text
    assert len(text.splitlines()) < 200


def test_a_package_of_the_workload_is_the_users_wherever_it_is_installed(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages"
    for name in ("their_workload", "some_library"):
        (installed / name).mkdir(parents=True)
    (installed / "some_library" / "__init__.py").write_text("def call(f): f()\ndef fail(): raise ValueError('no')\n")
    code = "import some_library\nclass W: pass\ndef train(): some_library.call(step)\ndef step(): some_library.fail()\n"
    (installed / "their_workload" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setattr("tuner.training.runner.tracebacks._LIBRARIES", (installed, Path(sysconfig.get_path("stdlib"))))
    theirs = importlib.import_module("their_workload")
    text = told(theirs.train, workload=theirs.W)
    assert text.count("[1 frame of some_library left out]") == 2
    assert "in train" in text
    assert "in step" in text
    for name in ("their_workload", "some_library"):
        sys.modules.pop(name)


def test_an_error_that_cannot_say_what_it_is_does_no_harm():
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("never")

    def fail_mutely() -> None:
        raise Mute

    assert "Mute" in told(fail_mutely)
    assert first_line(Mute()) == "Mute: (its message cannot be read)"


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("one\ntwo"), "ValueError: one"), (KeyError("k"), "KeyError: 'k'"), (MemoryError(), "MemoryError")],
)
def test_the_first_line_is_the_type_and_the_first_line_of_the_message(error, line):
    assert first_line(error) == line
