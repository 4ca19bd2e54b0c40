import socket
import sys
from typing import Any

import pytest

from tuner.cli import options
from tuner.cli.stack.stack import Stack, free_port, wait_until_ready
from tuner.cli.stack.supervisor import ChildFailed
from tuner.client import DEFAULT_URL, ApiProblem, Client, ServiceUnreachable
from tuner.errors import InvalidValue
from tuner_service.settings import Settings


def test_defaults_are_those_of_the_service_and_of_the_client(monkeypatch):
    for name in ("TUNER_HOST", "TUNER_PORT", "TUNER_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings()
    assert (settings.host, settings.port) == (options.DEFAULT_HOST, options.DEFAULT_PORT)
    assert settings.data_dir == options.DEFAULT_DATA_DIR
    assert options.DEFAULT_URL == DEFAULT_URL


class TestStack:
    def test_the_database_url_is_in_the_environment_and_not_on_the_command_line(self, tmp_path):
        stack = Stack(data_dir=tmp_path, database_url="postgresql://me:secret@db/tuner")
        for child in (stack.service(), *stack.workers()):
            assert child.environment["TUNER_DATABASE_URL"] == "postgresql://me:secret@db/tuner"
            assert not any("secret" in word for word in child.command)

    def test_without_a_database_url_it_is_a_file_in_the_data_folder(self, tmp_path):
        assert Stack(data_dir=tmp_path).service().environment["TUNER_DATABASE_URL"] == f"sqlite:///{tmp_path}/tuner.db"

    def test_access_settings_reach_the_service_and_no_worker(self, tmp_path):
        stack = Stack(
            data_dir=tmp_path, auth="on", public_url="https://tuner.example", allowed_hosts=("tuner.lan", "10.0.0.2")
        )
        printed = {
            "TUNER_AUTH": "on",
            "TUNER_PUBLIC_URL": "https://tuner.example",
            "TUNER_ALLOWED_HOSTS": "tuner.lan,10.0.0.2",
        }
        assert printed.items() <= stack.service().environment.items()
        assert not printed.keys() & stack.workers()[0].environment.keys()
        settings = Settings(auth="on", public_url="https://tuner.example", allowed_hosts="tuner.lan,10.0.0.2")
        assert settings.allowed_hosts == stack.allowed_hosts

    def test_there_is_one_worker_per_device_and_each_has_its_log(self, tmp_path):
        first, second = Stack(data_dir=tmp_path, devices=("cuda:0", "cuda:1"), workloads=("mine:W",)).workers()
        assert first.command == (
            *(sys.executable, "-m", "tuner_worker"),
            *("--device", "cuda:0", "--data-dir", str(tmp_path), "--workload", "mine:W"),
        )
        assert (first.name, first.log) == ("worker cuda:0", tmp_path / "logs" / "worker-cuda0.log")
        assert (second.name, second.log) == ("worker cuda:1", tmp_path / "logs" / "worker-cuda1.log")

    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("127.0.0.1", "http://127.0.0.1:80"),
            ("::1", "http://[::1]:80"),
            ("0.0.0.0", "http://127.0.0.1:80"),
            ("::", "http://[::1]:80"),
        ],
    )
    def test_the_url_is_where_the_service_listens(self, host, url, tmp_path):
        assert Stack(data_dir=tmp_path, host=host, port=80).url == url


class TestFreePort:
    def test_a_port_that_is_taken_is_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(
                InvalidValue, match=f"--port must be free on 127.0.0.1 .*, got {port}. 0 takes any free"
            ):
                free_port("127.0.0.1", wanted=port)

    def test_port_zero_takes_a_free_one(self):
        with socket.create_server(("127.0.0.1", free_port("127.0.0.1"))):
            pass


class Clock:
    """Ten seconds for each look at a service that is not ready, and what it responds."""

    def __init__(self, *responses: Exception | None) -> None:
        self.now = 0.0
        self._responses = iter(responses)

    def wait_ready(self) -> None:
        self.now += 10.0
        if (response := next(self._responses)) is not None:
            raise response


class Patient:
    """A supervisor whose service runs."""

    def check(self) -> None: ...

    def pids(self) -> dict[str, int]:
        return {"service": 1}


AWAY = ServiceUnreachable("http://127.0.0.1:1", reason="Connection refused")
UPGRADING = ApiProblem(status=503, type="x", title="Not ready", detail="database: its tables are upgraded", members={})


def test_a_service_that_is_slow_to_start_is_waited_for_and_lines_say_for_what(monkeypatch):
    clock, lines = Clock(*[AWAY] * 20, *[UPGRADING] * 20, None), []
    monkeypatch.setattr(Client, "wait_ready", lambda client, deadline: clock.wait_ready())
    supervisor: Any = Patient()
    wait_until_ready("http://127.0.0.1:1", supervisor=supervisor, say=lines.append, clock=lambda: clock.now)
    assert clock.now == 410.0
    assert lines[0] == "Waiting for the service, 20 s so far: its process runs and does not respond yet."
    assert lines[-1].endswith(" so far: database: its tables are upgraded.")
    assert len(lines) == 20


def test_a_service_that_is_given_up_is_not_waited_for(monkeypatch):
    class GivenUp:
        def check(self) -> None:
            raise ChildFailed("service", reason="cannot start: no such database")

    supervisor: Any = GivenUp()
    with pytest.raises(ChildFailed, match="the service cannot start: no such database"):
        wait_until_ready("http://127.0.0.1:1", supervisor=supervisor)
