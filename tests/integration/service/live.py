"""Services that really listen: in a thread of the test, or as a process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuner.store import Store
from tuner_service.app import create_app
from tuner_service.server import Server
from tuner_service.settings import Settings

PATIENCE_SECONDS = 60.0


def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    """Poll a condition until it holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited too long for: {what}")
        time.sleep(0.01)


@contextmanager
def served(settings: Settings, *, store: Store) -> Iterator[Server]:
    """A service on a free port, in a thread."""
    closing = threading.Event()
    server = Server(create_app(settings, store=store, closing=closing), settings=settings, closing=closing)
    thread = threading.Thread(target=server.run, name="service")
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), what="the service to start")
        yield server
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True)
class ServiceProcess:
    """``python -m tuner_service`` that listens."""

    process: subprocess.Popen[str]
    url: str


@contextmanager
def service_process(data_dir: Path, *, port: int = 0) -> Iterator[ServiceProcess]:
    """The service as a process of its own, killed at the end if it still runs."""
    with (data_dir / "service.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tuner_service", "--port", str(port), "--data-dir", str(data_dir)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Schedule Tuner listens on http://127.0.0.1:"), (data_dir / "service.log").read_text()
        yield ServiceProcess(process=process, url=line.split()[4])
    finally:
        process.kill()
        process.communicate()
