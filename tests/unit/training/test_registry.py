"""Where workloads come from, and whose modules training code finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.errors import InvalidValue, WorkloadError
from tuner.training.registry import installed_workloads, load_provider, load_workloads
from tuner.training.workload import describe

BUILTIN = "tuner.workloads:builtin_workloads"
COMMAND = """
name = "by-command"
version = "1"
description = "A command."
command = ["{python}", "train.py", "--width={width}", "{name}", "{{}}"]
default_steps = 40
optimizer = "adam"
peak_lr = [1e-5, 1e-2]

[options.width]
type = "integer"
default = 64
minimum = 1
description = "Units."

[options.name]
type = "string"
default = "plain"
description = "Anything."

[options.mode]
type = "string"
choices = ["fast", "slow"]
default = "fast"
description = "How."
"""


@pytest.fixture
def command_file(tmp_path):
    def write(*changes: tuple[str, str]) -> Path:
        text = COMMAND
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "train.toml").write_text(text)
        return tmp_path / "train.toml"

    return write


def test_a_provider_is_a_class_or_a_function():
    assert set(load_provider("tuner.workloads.digits:DigitsMlp")) == {"digits-mlp"}
    assert "pydoc-charlm" in load_provider(BUILTIN)


@pytest.mark.parametrize("provider", ["tuner.workloads", ":X", "tuner.workloads:"])
def test_a_provider_that_is_not_written_so_is_refused(provider):
    with pytest.raises(InvalidValue, match=r"module:Class, module:function or a \.toml file"):
        load_provider(provider)


def test_a_misspelt_class_is_refused_with_those_that_exist():
    with pytest.raises(InvalidValue, match=r"Workloads in tuner\.workloads\.digits: DigitsCnn, DigitsMlp"):
        load_provider("tuner.workloads.digits:DigitMlp")


@pytest.mark.parametrize("provider", ["no_such_module:Model", "no_such.module:Model", "tuner.no_such_module:Model"])
def test_a_module_that_is_not_there_is_refused_with_where_it_was_looked_for(provider):
    with pytest.raises(InvalidValue, match=r"There is no module '[a-z_.]*no_such[a-z_.]*' in /") as refused:
        load_provider(provider)
    assert refused.value.value == provider


def test_a_module_that_imports_one_that_is_not_installed_names_it(tmp_path, monkeypatch):
    (tmp_path / "needs_another.py").write_text("import a_library_that_nobody_has")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(WorkloadError, match="needs_another:X cannot be loaded: it imports 'a_library_that_nobody_has'"):
        load_provider("needs_another:X")


def test_something_else_than_workloads_is_refused():
    with pytest.raises(WorkloadError, match="must give workloads, got a str"):
        load_provider("os:getcwd")


def test_a_class_that_is_no_workload_is_refused_with_what_to_derive_it_from():
    with pytest.raises(WorkloadError, match=r"must give workloads, got a object: derive the class from tuner\."):
        load_provider("builtins:object")


def test_two_providers_of_one_name_are_refused():
    with pytest.raises(WorkloadError, match="offers digits-mlp, which another provider offers already"):
        load_workloads(["tuner.workloads.digits:DigitsMlp"], builtin=BUILTIN)


def test_an_installed_package_offers_workloads_and_a_broken_one_is_reported(tmp_path, monkeypatch, caplog):
    info = tmp_path / "lab_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[schedule_tuner.workloads]\n"
        "digits = tuner.workloads.digits:DigitsMlp\n"
        "gone = lab_models_gone:X\n"
        "quits = lab_models_quits:X\n"
    )
    (tmp_path / "lab_models_quits.py").write_text("raise SystemExit('no license')")
    monkeypatch.syspath_prepend(tmp_path)
    installed = installed_workloads()
    assert set(installed.workloads) == {"digits-mlp"}
    assert installed.refused == (
        "gone = lab_models_gone:X (lab-models): ModuleNotFoundError: No module named 'lab_models_gone'",
        "quits = lab_models_quits:X (lab-models): SystemExit: no license",
    )
    assert "no license" in caplog.text
    everything = load_workloads([], builtin=BUILTIN)
    assert {"digits-mlp", "digits-cnn"} <= set(everything.workloads)
    assert len(everything.refused) == 2


def test_a_command_file_is_a_workload_with_its_schema(command_file):
    (workload,) = load_provider(str(command_file())).values()
    assert (workload.name, workload.level.value, workload.default_steps) == ("by-command", "opaque", 40)
    properties = workload.Options.model_json_schema()["properties"]
    assert properties["width"] | {"title": ""} == {
        **{"type": "integer", "default": 64, "minimum": 1, "description": "Units.", "title": ""}
    }
    assert properties["mode"]["enum"] == ["fast", "slow"]


def test_a_command_file_may_name_the_rate_that_is_used_today(command_file):
    (workload,) = load_provider(str(command_file(("peak_lr = [1e-5, 1e-2]", "peak_lr = 2e-5")))).values()
    low, high = describe(workload).peak_lr["adam"]
    assert low < 2e-5 < high


def test_a_value_at_the_start_of_an_argument_cannot_be_an_option_of_the_command(command_file):
    (workload,) = load_provider(str(command_file())).values()
    assert workload.Options.model_validate({"name": "a -b"}).model_dump()["name"] == "a -b"
    with pytest.raises(ValueError, match="String should match pattern"):
        workload.Options.model_validate({"name": "--output=/etc/passwd"})


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        ('name = "by', 'nam = "by', r"the key must be one of name, .* Did you mean name\?$"),
        ('name = "by', '# name = "by', "name must be given$"),
        ("{width}", "{wide}", "made of placeholders among"),
        ("default = 64", 'default = "many"', r"options\.width must be a whole number, got 'many'"),
        ("default = 64", "default = 0", r"options\.width must be at least 1, got 0"),
        ("default = 64\n", "", r"options\.width\.default must be given$"),
        ("[options.width]", "[options.seed]", "every command gets that one"),
        ("[options.width]", "[options.Width]", r"must be text that matches \^\[a-z\]"),
        ('"adam"', '"adams"', "optimizer must be one of 'sgd', 'adam', got 'adams'"),
        ('description = "How."', 'description = "How.', "a TOML file"),
        ("minimum = 1", 'pattern = "("', "limits that fit their types"),
    ],
)
def test_a_command_file_that_does_not_hold_together_is_refused(command_file, old, new, refusal):
    with pytest.raises(InvalidValue, match=refusal):
        load_provider(str(command_file((old, new))))


def test_a_command_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_provider(str(tmp_path / "none.toml"))
