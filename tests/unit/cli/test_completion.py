"""What a shell completes: without a service nothing, quietly; with one the names of its objects."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.cli.test_main import COMMANDS
from tuner.cli.main import app
from tuner.client import Client

RUN, JOB = "8c1f77aa-1111-4a55-9e0b-0c5f5f0a0001", "3f2a91c0-7d1e-4a55-9e0b-0c5f5f0a0001"


def completed(line: str) -> list[str]:
    words = line.split(" ")
    environment = {"_TUNER_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = CliRunner().invoke(app, [], prog_name="tuner", env={**environment, "TUNER_URL": "http://127.0.0.1:9"})
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def service(monkeypatch: Any) -> None:
    """A client of a service with one of each."""
    running = SimpleNamespace(value="running")
    info = SimpleNamespace(name="digits-mlp", description="d", options_schema={"properties": {"width": {}, "wd": {}}})
    answers: dict[str, Any] = {
        "job_summaries": lambda self, *, text=None: iter(
            [SimpleNamespace(id=JOB, state=running, workload="digits-mlp", name="mine")]
        ),
        "jobs": lambda self: iter([SimpleNamespace(id=JOB)]),
        "runs": lambda self, job_id: (SimpleNamespace(id=RUN, state=running, trial_number=3),),
        "workloads": lambda self: (info,),
        "workload": lambda self, name: info,
        "workers": lambda self: (SimpleNamespace(name="gpu1-cuda0", device_model="H200"),),
    }
    for name, answer in answers.items():
        monkeypatch.setattr(Client, name, answer)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tuner show ", ["latest", "3f2a91c0"]),
        ("tuner report 3f", ["3f2a91c0"]),
        ("tuner cancel 3f2a91c0-", [JOB]),
        ("tuner submit --from l", ["latest"]),
        ("tuner logs 8c", ["8c1f77aa"]),
        ("tuner submit di", ["digits-mlp"]),
        ("tuner submit digits-mlp --option w", ["width=", "wd="]),
        ("tuner jobs --workload ", ["digits-mlp"]),
        ("tuner workers drain g", ["gpu1-cuda0"]),
    ],
)
def test_names_of_the_service_are_completed(service: None, line: str, words: list[str]):
    assert completed(line) == words


@pytest.mark.parametrize("line", ["tuner show ", "tuner submit ", "tuner logs ", "tuner workers drain "])
def test_without_a_service_nothing_is_completed_and_nothing_is_said(line: str):
    assert completed(line) == []


@pytest.mark.parametrize(
    "line", ["tuner submit --family c", "tuner schedule preview --family c", "tuner schedule families c"]
)
def test_families_are_completed_without_a_service(line: str):
    assert completed(line) == ["constant", "cosine", "cyclic"]


def test_every_argument_that_names_an_object_of_the_service_is_completed():
    named = {"JOB", "RUN", "WORKLOAD", "WORKER", "WEBHOOK", "TEAM", "USER", "TOKEN", "FAMILY"}
    for name, command in COMMANDS.items():
        for parameter in command.params:
            if (
                parameter.param_type_name == "argument"
                and parameter.metavar in named
                and name != "tuner workload check"
            ):
                assert parameter._custom_shell_complete is not None, (name, parameter.metavar)
