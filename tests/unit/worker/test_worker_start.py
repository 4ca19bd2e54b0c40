"""How a worker starts, and when it gives up."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.store.builders import OFFER
from tuner.backoff import LONGEST_SECONDS
from tuner.devices import Device, DeviceKind
from tuner.driver.runner import RunnerDied
from tuner.errors import InvalidValue, SchemaMismatch
from tuner.store import Store
from tuner.training.protocol import Hello
from tuner_worker import process
from tuner_worker.loop import START_ATTEMPTS, RunnerStartError, WorkerLoop
from tuner_worker.metrics import WorkerMetrics
from tuner_worker.settings import WorkerSettings
from tuner_worker.stop_request import StopRequest

CPU = Device(name="cpu", torch_name="cpu", kind=DeviceKind.CPU, model="cpu")
KILLED = {"fault_of_run": False}
CRASHED: dict[str, Any] = {}
BY_ITSELF = {"exit_code": 1}


class Stop(StopRequest):
    """Waits no time, and remembers for how long it should have."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)


class Starter:
    """A runner whose starts end in these ways, and then succeed."""

    def __init__(self, *deaths: dict[str, Any]) -> None:
        self.deaths = list(deaths)
        self.starts = 0

    def start(self, *, timeout: float) -> Hello:
        self.starts += 1
        if self.deaths:
            raise RunnerDied("it died", **self.deaths.pop(0))
        return Hello(pid=1, device="cpu", workloads=(OFFER,))

    def output(self, *, to_the_end: bool) -> str:
        return ""


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def start(tmp_path: Path, stop: Stop) -> Callable[..., tuple[Starter, Callable[[], Any]]]:
    def start(*deaths: dict[str, Any]) -> tuple[Starter, Callable[[], Any]]:
        runner = Starter(*deaths)
        worker = WorkerLoop(
            SimpleNamespace(reaper=None),  # type: ignore[arg-type]
            runner=runner,  # type: ignore[arg-type]
            hide=str,
            metrics=WorkerMetrics(CPU),
            name="w1",
            device=CPU,
            settings=WorkerSettings(data_dir=tmp_path),
            stop=stop,
        )
        return runner, worker._start_runner

    return start


def test_a_runner_that_is_killed_in_its_first_starts_is_started_until_it_lives_ever_less_often(start, stop):
    runner, begin = start(*[KILLED] * 10)
    assert begin() == (OFFER,)
    assert runner.starts == 11
    assert stop.waits[-1] > 10 * stop.waits[0]
    assert max(stop.waits) <= LONGEST_SECONDS


def test_a_runner_that_ends_by_itself_in_its_first_start_is_a_wrong_setting(start):
    runner, begin = start(BY_ITSELF)
    with pytest.raises(RunnerStartError) as failed:
        begin()
    assert failed.value.is_of_settings
    assert runner.starts == 1


def test_a_runner_that_crashes_in_each_start_is_no_wrong_setting_and_is_given_up(start):
    runner, begin = start(*[CRASHED] * START_ATTEMPTS)
    with pytest.raises(RunnerStartError) as failed:
        begin()
    assert not failed.value.is_of_settings
    assert runner.starts == START_ATTEMPTS


def test_a_stop_ends_the_starts(start, stop):
    runner, begin = start(*[KILLED] * 10)
    stop.request()
    assert begin() == ()
    assert runner.starts == 0


@pytest.mark.parametrize("package", ["tuner_worker", "tuner_service"])
def test_a_signal_before_the_imports_stops_a_process_in_good_order(tmp_path, package):
    code = (
        "import os, signal, sys\n"
        f"from {package} import __main__ as started\n"
        "started.require = lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)\n"
        f"sys.argv = ['started', '--data-dir', {str(tmp_path)!r}]\n"
        "sys.exit(started.main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "Traceback" not in ended.stderr


def worked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *errors: Exception) -> tuple[Stop, list[str]]:
    """Have the worker's work end in these errors, and then in good order."""
    stop, begun, left = Stop(), [], list(errors)

    def serve(settings: WorkerSettings, *, device: Device, stop: StopRequest) -> None:
        begun.append("begun")
        if left:
            raise left.pop(0)

    monkeypatch.setattr(process, "_serve", serve)
    process.work(WorkerSettings(data_dir=tmp_path), device=CPU, stop=stop)
    return stop, begun


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_takes_nothing_is_waited_for(monkeypatch, tmp_path, code):
    stop, begun = worked(monkeypatch, tmp_path, *[OSError(code, os.strerror(code), "w1.lock")] * 3)
    assert len(begun) == 4
    assert len(stop.waits) == 3


def test_a_data_folder_that_is_not_ours_is_a_wrong_setting(monkeypatch, tmp_path):
    with pytest.raises(InvalidValue, match="data_dir must be a folder in which this user may write"):
        worked(monkeypatch, tmp_path, PermissionError(errno.EACCES, "Permission denied", "w1.lock"))


def test_tables_of_another_version_are_a_wrong_setting_as_for_the_service(monkeypatch, tmp_path, capsys):
    def refuse(url: str) -> None:
        raise SchemaMismatch("the tables are not those of this version. Run `tuner db upgrade`")

    monkeypatch.setattr(Store, "open", refuse)
    assert process.main(["--device", "cpu", "--data-dir", str(tmp_path)], stop=Stop()) == 2
    assert "tuner db upgrade" in capsys.readouterr().err
