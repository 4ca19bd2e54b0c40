"""What commands print."""

import pytest
from typer.testing import CliRunner

from tuner.cli.main import app
from tuner.cli.output import format_device_time
from tuner.client import Client


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0 s"), (42.4, "42 s"), (200.0, "3 min"), (3_600.0, "1.0 h"), (4.5e6, "1,250.0 h")]
)
def test_device_time_is_in_hours_and_a_short_one_is_not_shown_as_zero(seconds, text):
    assert format_device_time(seconds) == text


def test_without_workloads_the_message_names_the_time_that_a_worker_takes_to_start(monkeypatch):
    monkeypatch.setattr(Client, "workloads", lambda self: ())
    result = CliRunner().invoke(app, ["workloads", "--url", "http://127.0.0.1:1"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "which takes some seconds" in result.stderr
