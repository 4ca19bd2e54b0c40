"""What a soak runs: a database, a service and workers as processes, restarted when they end, behind proxies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from tests.integration.store.postgres_server import RESTARTED, PostgresServer, PrivateServer, private_server
from tests.soak.proxy import Proxy
from tuner.cli.stack.stack import free_port
from tuner.store.maintenance.migrate import upgrade

LEASE_SECONDS = 4.0
SNAPSHOT_SECONDS = 0.5
UPDATE_SECONDS = 0.01
WORKERS = 2
_RESTART_SECONDS = 0.5


@dataclass
class Process:
    """A program that is started again whenever it has ended.

    Args:
        name: For people and for the log file.
        command: Of the program.
        environment: Of the program.
        log: Its output.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restart_at: float = 0.0
    expected: bool = True
    """Whether the soak itself caused its next end."""
    ended_itself: list[int] = field(default_factory=list)
    """Exit codes of ends that no fault explains."""

    @property
    def pid(self) -> int:
        """Its process; 0 while it is down."""
        return self.process.pid if self.process is not None and self.process.poll() is None else 0

    def kill(self, how: signal.Signals) -> None:
        """Send a signal that ends it."""
        self.expected = True
        self.signal(how)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it is up."""
        if self.pid:
            os.kill(self.pid, number)

    def supervise(self) -> None:
        """Start it if it is down and its time has come."""
        if self.pid:
            return
        now = time.monotonic()
        if self.process is not None:
            code, self.process = self.process.returncode, None
            self.restart_at = now + _RESTART_SECONDS
            if not self.expected:
                self.ended_itself.append(code)
        if now >= self.restart_at:
            self.expected = False
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )

    def end(self) -> None:
        """End it for good."""
        if self.process is not None and self.pid:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Site:
    """The processes of one soak over one database.

    Args:
        folder: For logs and traces.
        disk: Folder of the workers' data, and of SQLite's file.
        kind: ``"sqlite"`` or ``"postgres"``.
        faketime: File that libfaketime reads the workers' clock from, and its library; ``None`` without one.
    """

    def __init__(self, folder: Path, *, disk: Path, kind: str, faketime: tuple[Path, Path] | None = None) -> None:
        self.folder = folder
        self.disk = disk
        self.kind = kind
        self.faketime = faketime
        self.trace = folder / "trace"
        self._stack = ExitStack()
        self.server: PrivateServer | None = None
        self.database_proxy: Proxy | None = None
        self.url = self._database()
        self._port = free_port("127.0.0.1")
        self.service_proxy = Proxy(lambda: asyncio.open_connection("127.0.0.1", self._port))
        self._stack.callback(self.service_proxy.close)
        upgrade(self.direct_url)
        self.service = self._process("service", "tuner_service", "--port", str(self._port))
        self.workers = tuple(
            self._process(name, "tuner_worker", "--name", name, "--device", "cpu", clock=True)
            for name in (f"w{number}" for number in range(WORKERS))
        )

    @property
    def processes(self) -> tuple[Process, ...]:
        """The service and the workers."""
        return (self.service, *self.workers)

    @property
    def address(self) -> str:
        """Where clients reach the service: at the proxy."""
        return f"http://127.0.0.1:{self.service_proxy.port}"

    def wait(self, seconds: float, *, until: Callable[[], bool] = lambda: False) -> bool:
        """Keep the processes running for a while, or until a condition holds; whether it does."""
        deadline = time.monotonic() + seconds
        while not (holds := until()) and time.monotonic() < deadline:
            for process in self.processes:
                process.supervise()
            time.sleep(0.1)
        return holds

    def runners_of(self, worker: Process) -> tuple[int, ...]:
        """The processes that a worker has started."""
        return _children(worker.pid) if worker.pid else ()

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.end()
        self._stack.close()

    def _database(self) -> str:
        if self.kind == "sqlite":
            self.direct_url = f"sqlite:///{self.disk / 'tuner.db'}"
            return self.direct_url
        self.server = server = self._stack.enter_context(private_server(RESTARTED))
        self.direct_url = PostgresServer(server.admin).create()
        socket = Path(str(server.admin.query["host"])) / ".s.PGSQL.5432"
        self.database_proxy = proxy = Proxy(lambda: asyncio.open_unix_connection(socket))
        self._stack.callback(proxy.close)
        through = make_url(self.direct_url).set(host="127.0.0.1", port=proxy.port).difference_update_query(["host"])
        return through.render_as_string(hide_password=False)

    def _process(self, name: str, module: str, *arguments: str, clock: bool = False) -> Process:
        environment: dict[str, Any] = {
            **os.environ,
            "TUNER_DATABASE_URL": self.url,
            "TUNER_DATA_DIR": str(self.disk),
            "TUNER_AUTH": "off",
            "TUNER_WORKLOADS": "tests.soak.workload:Soak",
            "TUNER_LEASE_TIME": str(LEASE_SECONDS),
            "TUNER_SNAPSHOT_INTERVAL": str(SNAPSHOT_SECONDS),
            "TUNER_POLL_INTERVAL": "0.2",
            "TUNER_REAP_INTERVAL": "PT1S",
            "OMP_NUM_THREADS": "1",
        }
        if clock and self.faketime is not None:
            library, file = self.faketime
            environment |= {
                "LD_PRELOAD": str(library),
                "FAKETIME_TIMESTAMP_FILE": str(file),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a clock that is set does not move the monotonic one
            }
        command = (sys.executable, "-m", module, *arguments)
        return Process(name=name, command=command, environment=environment, log=self.folder / f"{name}.log")


def _children(pid: int) -> tuple[int, ...]:
    try:
        return tuple(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    except FileNotFoundError:
        return ()
