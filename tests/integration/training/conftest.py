from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tuner.schedules import Schedule
from tuner.training.protocol import Directive, Ended, Evaluated, FromRunner, Hello, SnapshotSaved, Train, from_runner

HERE = Path(__file__).parent
DEADLINE = 120.0  # seconds for anything a runner owes; far more than it takes
SCHEDULE = Schedule.model_validate({"peak_lr": 0.05, "family": {"name": "constant"}})


def runner_command(*, read_fd: int | str, write_fd: int | str) -> list[str]:
    pipes = ["--read-fd", str(read_fd), "--write-fd", str(write_fd)]
    return [sys.executable, "-m", "tuner.training.runner", *pipes, "--workloads", "runner_workloads:offered"]


def request(workload: str, folder: Path, **changes: Any) -> Train:
    fields = {
        "run_id": "run",
        "workload": workload,
        "options": {},
        "schedule": SCHEDULE,
        "total_steps": 40,
        "seed": 1,
        "snapshot_dir": str(folder),
        "snapshot_seconds": 3600.0,
    }
    return Train(**(fields | changes))


class RunnerClient:
    """A worker's side of a real runner."""

    def __init__(self, output: Path) -> None:
        theirs, self._write_fd = os.pipe()
        self._read_fd, answers = os.pipe()
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                runner_command(read_fd=theirs, write_fd=answers),
                pass_fds=(theirs, answers),
                stdout=file,
                stderr=file,
                cwd=HERE,
            )
        os.close(theirs)
        os.close(answers)
        self._buffer = b""
        self._open = True
        hello = self.receive()
        assert isinstance(hello, Hello), output.read_text(errors="replace")
        self.hello = hello

    def send(self, message: Train | Directive) -> None:
        os.write(self._write_fd, message.model_dump_json().encode() + b"\n")

    def receive(self) -> FromRunner | None:
        """The next message; ``None`` when the runner has gone."""
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._read_fd], [], [], DEADLINE)
            assert ready, "the runner owes a message"
            data = os.read(self._read_fd, 65536)
            if not data:
                return None
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return from_runner.validate_json(line)

    def train(
        self, train: Train, *, on_snapshot: Callable[[SnapshotSaved], None] = lambda saved: None
    ) -> tuple[Ended | None, list[Evaluated]]:
        """Train to the end, or to the runner's (then ``None``)."""
        self.send(train)
        evaluated: list[Evaluated] = []
        while (message := self.receive()) is not None:
            if isinstance(message, Ended):
                return message, evaluated
            if isinstance(message, Evaluated):
                evaluated.append(message)
                self.send(Directive())
            if isinstance(message, SnapshotSaved):
                on_snapshot(message)
        return None, evaluated

    def hang_up(self) -> None:
        if self._open:
            os.close(self._write_fd)
            os.close(self._read_fd)
            self._open = False

    def wait(self) -> int:
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        self.hang_up()
        self.process.kill()
        self.wait()


@pytest.fixture
def start_runner(tmp_path: Path) -> Iterator[Callable[[], RunnerClient]]:
    clients: list[RunnerClient] = []

    def start() -> RunnerClient:
        clients.append(RunnerClient(tmp_path / f"output-{len(clients)}.txt"))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerClient]:
    """One warm runner for the tests that leave it alive."""
    client = RunnerClient(tmp_path_factory.mktemp("runner") / "output.txt")
    yield client
    client.close()


@pytest.fixture
def make_request(tmp_path: Path) -> Callable[..., Train]:
    return lambda workload, **changes: request(workload, tmp_path / "snapshots", **changes)


@pytest.fixture
def runner_script() -> str:
    """A parent that starts a runner on the stuck workload, says the runner's pid, and waits to be killed."""
    return f"""
import os, subprocess, sys
theirs, ours = os.pipe()
answers, back = os.pipe()
command = {runner_command(read_fd="READ", write_fd="WRITE")!r}
command = [{{"READ": str(theirs), "WRITE": str(back)}}.get(part, part) for part in command]
runner = subprocess.Popen(command, pass_fds=(theirs, back), cwd={str(HERE)!r})
with os.fdopen(answers, "rb") as lines:
    lines.readline()
    os.write(ours, sys.stdin.buffer.readline())
    print(runner.pid, flush=True)
    runner.wait()
"""
