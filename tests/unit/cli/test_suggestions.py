"""Mistakes of newcomers: what the command line says was meant."""

import pytest
from typer.testing import CliRunner

from tests.unit.cli.test_main import COMMANDS
from tuner.cli.failures import ExitCode
from tuner.cli.main import app
from tuner.cli.suggestions import _COMMANDS, _OPTIONS


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("list", "Did you mean `tuner jobs`?"),
        ("status", "Did you mean `tuner show JOB`?"),
        ("run digits-mlp", "Did you mean `tuner submit WORKLOAD`?"),
        ("stop 3f2a", "Did you mean `tuner cancel JOB`?"),
        ("help", "Did you mean `tuner --help`?"),
        ("version", "Did you mean `tuner --version`?"),
        ("sumbit", "Did you mean 'submit'?"),
        ("submit digits-mlp --lr 0.1", "No such option: --lr. Did you mean --peak-lr?"),
        ("submit digits-mlp --learning_rate 0.1", "Did you mean --peak-lr?"),
        ("submit digits-mlp --epochs 3", "Did you mean --total-steps?"),
        ("submit digits-mlp --steps 3", "Did you mean --total-steps?"),
        ("submit digits-mlp --budgt 3", "Did you mean --budget?"),
        ("submit digits-mlp --width 3", "Options of the workload are set as in `--option width=VALUE`"),
        ("submit digits-mlp width=3", "An option of the workload is set as in `--option width=3`"),
        ("submit digits-mlp cosine", "A family is named by `--family cosine`"),
        ("schedule preview cosine", "A family is named by `--family cosine`"),
        ("schedule preview --family cosine --lr 1", "Did you mean --peak-lr?"),
        ("--url http://x jobs", "it stands after the command, as in `tuner jobs --url`"),
        ("show", "Missing argument 'JOB'. Id of the job, its start, or `latest`."),
        ("logs", "Missing argument 'RUN'. Id of the run or its start, as `tuner runs` lists it"),
        ("workload check my_tuning.py", "For all of my_tuning.py: my_tuning:NAME, NAME being a class or a function"),
        ("webhook add foo", "TARGET must be a URL, as in https://example.org/hook"),
        ("submit x --incumbent cosin,peak-lr=0.1", "--incumbent must be one of constant, linear"),
        ("submit x --incumbent cosine,lr=0.1", "Did you mean peak-lr=0.1?"),
        ("submit x --incumbent cosine,peak-lr=-1", "--incumbent peak-lr must be above 0"),
        ("up --device gpu", "device must be auto or one of those this worker can see"),
    ],
)
def test_a_mistake_is_refused_with_what_was_meant(line, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, line.split(), env={"TUNER_URL": "http://127.0.0.1:9"})
    assert done.exit_code == ExitCode.REFUSED
    assert meant in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["-h", "--help"])
def test_both_names_of_help_work_everywhere(name):
    for words in ([], ["submit"], ["schedule"], ["schedule", "preview"]):
        assert CliRunner().invoke(app, [*words, name]).stdout.startswith("Usage: tuner")


def test_what_is_suggested_exists():
    for command in _COMMANDS:
        assert any(command == name or command.startswith(f"{name} ") for name in COMMANDS), command
    options = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    assert set(_OPTIONS) <= options
