from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from pydantic import ValidationError

from tuner_worker.process import main, read_settings
from tuner_worker.settings import WorkerSettings
from tuner_worker.stop_request import StopRequest

URL = "postgresql://tuner:s3cret@db/tuner"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for field in WorkerSettings.model_fields:
        monkeypatch.delenv(f"TUNER_{field.upper()}", raising=False)


def test_every_setting_has_a_default_and_says_what_it_is():
    settings = WorkerSettings()
    assert settings.database == f"sqlite:///{Path('tuner-data/tuner.db').resolve()}"
    assert all(field.description for field in WorkerSettings.model_fields.values())


@pytest.mark.parametrize(("text", "seconds"), [("45", 45), ("0.5", 0.5), ("PT2M", 120), ("00:01:00", 60)])
def test_a_duration_is_seconds_or_iso_8601(monkeypatch, text, seconds):
    monkeypatch.setenv("TUNER_LEASE_TIME", text)
    assert WorkerSettings().lease_time == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "field", ["lease_time", "poll_interval", "start_limit", "silence_limit", "snapshot_interval", "kill_grace"]
)
@pytest.mark.parametrize("value", [0, -1, "soon", float("nan")])
def test_a_duration_that_is_none_is_refused(field, value):
    with pytest.raises(ValidationError):
        WorkerSettings(**{field: value})


def test_the_password_is_not_shown():
    settings = WorkerSettings(database_url=URL)
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in settings.model_dump_json()
    assert settings.database == URL


def test_the_name_is_the_same_after_a_restart_and_fits_a_file_name():
    assert WorkerSettings().name_on("cuda:1") == WorkerSettings().name_on("cuda:1")
    assert WorkerSettings().name_on("cuda:1").endswith("-cuda1")
    assert WorkerSettings().name_on("cuda:0,cuda:1").endswith("-cuda0-cuda1")
    assert WorkerSettings(worker_name="lab-3").name_on("cpu") == "lab-3"
    for name in ("../up", "a b", ".hidden", "x" * 101):
        with pytest.raises(ValidationError):
            WorkerSettings(worker_name=name)


def test_the_command_line_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("TUNER_DEVICE", "cuda:1")
    monkeypatch.setenv("TUNER_WORKLOADS", "a:A, b:B")
    assert read_settings([]).device == "cuda:1"
    assert read_settings([]).workloads == ("a:A", "b:B")

    given = read_settings(
        ["--device", "cpu", "--name", "n", "--workload", "c:C", "--workload", "d:D", "--data-dir", "x"]
    )
    assert (given.device, given.worker_name, given.workloads, given.data_dir) == ("cpu", "n", ("c:C", "d:D"), Path("x"))


def test_a_data_folder_that_is_no_utf_8_is_refused_at_the_start(monkeypatch, capsys):
    monkeypatch.setenv("TUNER_DATA_DIR", os.fsdecode(b"/data/caf\xe9"))
    assert main(["--device=cpu"], stop=StopRequest()) == 2
    assert "TUNER_DATA_DIR must be a path in UTF-8, got \"'/data/caf\\\\udce9'\"" in capsys.readouterr().err


def test_settings_cannot_change():
    with pytest.raises(ValidationError):
        WorkerSettings().device = "cpu"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "a b"], "worker: worker_name must be text that matches ^$|"),
        (["--device", "cuda:99"], "device must be auto or one of those this worker can see"),
    ],
)
def test_a_wrong_command_line_ends_with_exit_code_2_and_says_why(arguments, words, capsys):
    assert main(arguments, stop=StopRequest()) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("METRICS_PORT", "99999", "metrics_port must be at most 65535"),
        ("METRICS_PORT", "x", "metrics_port must be a whole number"),
        ("RUNNER_MEMORY_MB", "3", "runner_memory_mb must be at least 256"),
        ("LEASE_TIME", "PT0S", "lease_time must be above 0 seconds"),
        ("RUN_LIMIT", "soon", "run_limit must be a duration: seconds, or ISO 8601 as in PT30S"),
    ],
)
def test_a_wrong_setting_is_refused_in_the_words_of_every_refusal(name, value, said, monkeypatch, capsys):
    monkeypatch.setenv(f"TUNER_{name}", value)
    assert main([], stop=StopRequest()) == 2
    assert capsys.readouterr().err == f'worker: {said}, got "{value}"\n'


def test_a_wrong_database_url_ends_with_exit_code_2_and_hides_its_password(tmp_path, capsys):
    url = "postgresql//tuner:s3cret@db/tuner"
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert main([f"--database-url={url}", f"--data-dir={tmp_path}", "--device=cpu"], stop=StopRequest()) == 2
    finally:
        structlog.reset_defaults()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    said = capsys.readouterr().err
    assert "database_url must be" in said
    assert "s3cret" not in said


def test_the_help_lists_every_setting(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"], stop=StopRequest())
    said = capsys.readouterr().out
    assert all(f"TUNER_{field.upper()} = " in said for field in WorkerSettings.model_fields)
