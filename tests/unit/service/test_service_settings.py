from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from subprocess import run

import pytest
from pydantic import ValidationError

from service.__main__ import REFUSED, main
from service.settings import Settings
from tuner.loopback import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_is_taken(host: str):
    assert is_loopback(host)
    assert Settings(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.3", "example.org", "", "127.0.0.1.example.org"])
def test_anything_else_is_refused_with_what_to_do(host: str):
    with pytest.raises(ValidationError, match="SSH tunnel"):
        Settings(host=host)


def test_the_process_refuses_with_a_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]):
    assert main(["--host", "0.0.0.0"]) == REFUSED
    said = capsys.readouterr().err
    assert said.startswith("host must be a loopback address")
    assert "ssh -L" in said


def test_the_database_is_a_file_in_the_data_folder_unless_named(tmp_path: Path):
    assert Settings(data_dir=tmp_path).database == f"sqlite:///{tmp_path / 'tuner.db'}"
    assert Settings(database_url="postgresql://x/y").database == "postgresql://x/y"


def test_the_environment_is_read_and_the_command_line_goes_over_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNER_PORT", "1234")
    monkeypatch.setenv("TUNER_EVENT_POLL_INTERVAL", "PT0.5S")
    assert (Settings().port, Settings().event_poll_interval) == (1234, timedelta(seconds=0.5))
    assert Settings(port=1).port == 1


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


HEAVY = ("torch", "optuna", "sklearn", "scipy", "matplotlib")


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [("service.app", HEAVY), ("service.__main__", HEAVY), ("tuner.client", (*HEAVY, "fastapi", "sqlalchemy"))],
)
def test_nothing_heavy_is_loaded(module: str, unwanted: tuple[str, ...]):
    code = f"import sys, {module}; print(sorted(sys.modules.keys() & {set(unwanted)}))"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
