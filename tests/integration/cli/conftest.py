"""A real service over a SQLite file, the command line as people call it, and waiting for what processes do."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tuner.cli.main import app
from tuner.cli.stack.stack import Stack, database_in, free_port, wait_until_ready
from tuner.cli.stack.supervisor import Supervisor
from tuner.store import Store

HOST = "127.0.0.1"
_IN_FRONT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from tuner.cli.main import main
main()
"""
"""As in the foreground of a shell, also where the tests themselves run in the background and ignore interrupts."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Cli:
    """Runs `tuner`: in this process, because a start takes half a second, or in one of its own where that matters."""

    url: str
    logins: Path | None = None
    """Folder of the tokens that it has; none."""

    @property
    def environment(self) -> dict[str, str]:
        return {"TUNER_URL": self.url, "COLUMNS": "160", "XDG_CONFIG_HOME": str(self.logins or "/nowhere")}

    def __call__(self, *arguments: str, stdin: str = "") -> Done:
        done = CliRunner().invoke(app, arguments, input=stdin, env=self.environment)
        return Done(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)

    def json(self, *arguments: str, stdin: str = "") -> Any:
        """What a command prints with --json, which must be all that it prints on standard output."""
        done = self(*arguments, "--json", stdin=stdin)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie that nobody reaps (as in a container without an init) does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def processes_of(folder: Path) -> dict[str, int]:
    """The service, worker and runner whose command lines, or whose parents', name the data folder: module to pid."""
    found: dict[str, int] = {}
    by_parent: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "tuner.training.runner" in words:
            by_parent[parent] = int(entry.name)
        elif str(folder) in words and (module := {"tuner_service", "tuner_worker"} & set(words)):
            found[module.pop().removeprefix("tuner_")] = int(entry.name)
    if found.get("worker") in by_parent:
        found["runner"] = by_parent[found["worker"]]
    return found


class World:
    """`tuner` in processes of its own, which end with the test; what they say is kept in files."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port(HOST)
        self.cli = Cli(f"http://{HOST}:{self.port}")
        self._folder = folder
        self._said: dict[int, Path] = {}
        self._started: list[subprocess.Popen[str]] = []

    alive = staticmethod(alive)
    processes_of = staticmethod(processes_of)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        with (self._folder / f"said-{len(self._started)}").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", _IN_FRONT, *arguments],
                stdout=said,
                stderr=said,
                text=True,
                env={**os.environ, **self.cli.environment},
            )
        self._said[process.pid] = Path(said.name)
        self._started.append(process)
        return process

    def said_by(self, process: subprocess.Popen[str]) -> str:
        """What a process has said so far, on standard output and standard error."""
        return self._said[process.pid].read_text()

    def until(self, condition: Callable[[], Any], *, what: str, seconds: float = 90.0) -> Any:
        """Poll ``condition`` until it is truthy, and return what it returned; fail after ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > deadline:
                said = "\n".join(path.read_text() for path in self._said.values())
                pytest.fail(f"{what} did not come true in {seconds} s. The processes said:\n{said}")
            time.sleep(0.05)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("said"))
    yield world
    world.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service without a worker."""
    stack = Stack(data_dir=tmp_path_factory.mktemp("data"), host=HOST, port=free_port(HOST))
    with Supervisor(say=lambda _: None) as supervisor:
        supervisor.add(stack.service())
        wait_until_ready(stack.url, supervisor=supervisor)
        yield stack


@pytest.fixture(scope="module")
def cli(stack: Stack) -> Cli:
    return Cli(stack.url)


@pytest.fixture(scope="module")
def store(stack: Stack) -> Iterator[Store]:
    """The service's database, to put there what a worker would."""
    store = Store.open(database_in(stack.data_dir))
    yield store
    store.close()
