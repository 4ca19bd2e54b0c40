from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from pydantic import ValidationError

from tuner.loopback import is_loopback
from tuner_service.process import REFUSED, main
from tuner_service.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_is_accepted(host: str):
    assert is_loopback(host)
    assert Settings(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.3", "example.org", "127.0.0.1.example.org"])
def test_off_loopback_a_login_is_needed(host: str):
    assert Settings(host=host).login_needed
    assert Settings(host=host, auth="on").login_needed
    with pytest.raises(ValidationError, match="SSH tunnel"):
        Settings(host=host, auth="off")


def test_on_loopback_a_login_is_needed_when_a_database_is_shared():
    assert not Settings().login_needed
    assert Settings(auth="on").login_needed
    assert Settings(database_url="postgresql://x/y").login_needed
    assert not Settings(database_url="postgresql://x/y", auth="off").login_needed


@pytest.mark.parametrize(
    "said",
    [
        {"public_url": "https://tuner.example"},
        {"allowed_hosts": ("tuner.example",)},
        {"trusted_proxies": ("127.0.0.1",)},
    ],
)
def test_behind_a_proxy_a_login_is_needed(said: dict[str, Any]):
    assert Settings(**said).login_needed
    with pytest.raises(ValidationError, match="auth must be on or auto"):
        Settings(auth="off", **said)


def test_the_process_refuses_with_a_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]):
    assert main(["--host", ""]) == REFUSED
    assert capsys.readouterr().err == "host must be text of at least 1 character, but it is empty\n"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("PT0S", 'shutdown_grace must be at least 1 second, got "PT0S"'),
        ("soon", 'shutdown_grace must be a duration: seconds, or ISO 8601 as in PT30S, got "soon"'),
    ],
)
def test_a_refused_duration_is_named_in_words(value: str, line: str, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNER_SHUTDOWN_GRACE", value)
    assert main([]) == REFUSED
    assert capsys.readouterr().err == f"{line}\n"


@pytest.mark.parametrize("value", ["5", "5.0", "PT5S"])
def test_a_duration_is_seconds_or_iso_8601(value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNER_REAP_INTERVAL", value)
    assert Settings().reap_interval == timedelta(seconds=5)


def test_a_refused_secret_is_not_in_the_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNER_SECRET_KEY", "hunter2")
    assert main([]) == REFUSED
    assert "hunter2" not in capsys.readouterr().err


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNER_SECRET_KEY", "hunter2" * 8)
    assert "hunter2" not in repr(Settings())


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", ""), ("https://tuner.example", "https://tuner.example"), ("http://[::1]:8/", "http://[::1]:8")],
)
def test_the_public_url_is_an_origin(given: str, kept: str):
    assert Settings(public_url=given).public_url == kept


@pytest.mark.parametrize(
    "url",
    ["tuner.example", "ftp://x", "https://", "https://x/y", "https://a@x", "https://x?y", "https://x:y", "http://["],
)
def test_a_public_url_with_more_or_less_is_refused(url: str):
    with pytest.raises(ValidationError, match="public_url must be"):
        Settings(public_url=url)


@pytest.mark.parametrize("rate", ["x", "1", "10 per fortnight", "-1/minute"])
def test_a_rate_that_means_nothing_is_refused(rate: str):
    with pytest.raises(ValidationError, match="number per second"):
        Settings(rate_limit=rate)


def test_names_are_comma_separated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNER_ALLOWED_HOSTS", "tuner.example, api")
    assert Settings().allowed_hosts == ("tuner.example", "api")


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
    [
        ("tuner_service.app", HEAVY),
        ("tuner_service.process", HEAVY),
        ("tuner.client", (*HEAVY, "fastapi", "sqlalchemy")),
    ],
)
def test_nothing_heavy_is_loaded(module: str, unwanted: tuple[str, ...]):
    code = f"import sys, {module}; print(sorted(sys.modules.keys() & {set(unwanted)}))"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
