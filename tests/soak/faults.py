"""The faults of a soak: each begins, lasts a while, and is mended."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tests.soak.site import Process, Site

T = TypeVar("T")

Fault = Callable[[Site, random.Random, float], None]
"""Injects one fault of the given seconds and mends it; the site's processes are kept up meanwhile."""


def faults_for(site: Site, *, mounts: bool) -> Mapping[str, Fault]:
    """The kinds of faults that can be injected on this machine.

    Args:
        site: What they are injected into.
        mounts: Whether the disk is a mount of the soak's own, which it may fill and remount.
    """
    kinds: dict[str, Fault] = {
        "kill -9 worker": _kill_worker,
        "kill -9 worker and runner": _kill_machine,
        "kill -9 runner": _kill_runner,
        "kill -9 service": _kill_service,
        "restart service": _restart_service,
        "restart worker": _restart_worker,
        "restart worker at once": _restart_worker_at_once,
        "stop worker (SIGSTOP)": _stop_worker,
        "stop runner (SIGSTOP)": _stop_runner,
        "stop service (SIGSTOP)": _stop_service,
        "cut connections to service": _cut_service,
        "service half open": _stall_service,
        "damaged snapshots": _damage_snapshots,
    }
    if site.kind == "postgres":
        kinds |= {
            "restart database": _restart_database,
            "kill database": _kill_database,
            "cut connections to database": _cut_database,
            "database half open": _stall_database,
            "database refuses": _refuse_database,
        }
    else:
        kinds["database locked"] = _lock_database
    if mounts:
        kinds |= {"full disk": _fill_disk, "read-only snapshots": _mount_read_only}
    if site.faketime is not None:
        kinds["clock jumps"] = _jump_clock
    return kinds


def _kill_worker(site: Site, rng: random.Random, seconds: float) -> None:
    rng.choice(site.workers).kill(signal.SIGKILL)
    site.wait(seconds)


def _kill_machine(site: Site, rng: random.Random, seconds: float) -> None:
    """A machine that is lost: its worker and all that this has started."""
    worker = rng.choice(site.workers)
    runners = site.runners_of(worker)
    worker.kill(signal.SIGKILL)
    for runner in runners:
        _send(runner, signal.SIGKILL)
    site.wait(seconds)


def _kill_runner(site: Site, rng: random.Random, seconds: float) -> None:
    for runner in site.runners_of(rng.choice(site.workers)):
        _send(runner, signal.SIGKILL)
    site.wait(seconds)


def _kill_service(site: Site, _: random.Random, seconds: float) -> None:
    site.service.kill(signal.SIGKILL)
    site.wait(seconds)


def _restart_service(site: Site, _: random.Random, seconds: float) -> None:
    site.service.kill(signal.SIGTERM)
    site.wait(seconds)


def _restart_worker(site: Site, rng: random.Random, seconds: float) -> None:
    rng.choice(site.workers).kill(signal.SIGTERM)
    site.wait(seconds)


def _restart_worker_at_once(site: Site, rng: random.Random, seconds: float) -> None:
    """A stop request in the first second of a worker's life."""
    worker = rng.choice(site.workers)
    worker.kill(signal.SIGKILL)
    site.wait(30, until=lambda: worker.pid > 0)
    time.sleep(rng.uniform(0.0, 1.0))
    worker.kill(signal.SIGTERM)
    site.wait(seconds)


def _stop_worker(site: Site, rng: random.Random, seconds: float) -> None:
    _stop(site, rng.choice(site.workers), seconds=seconds)


def _stop_service(site: Site, _: random.Random, seconds: float) -> None:
    _stop(site, site.service, seconds=seconds)


def _stop(site: Site, process: Process, *, seconds: float) -> None:
    process.signal(signal.SIGSTOP)
    site.wait(seconds)
    process.signal(signal.SIGCONT)


def _stop_runner(site: Site, rng: random.Random, seconds: float) -> None:
    runners = site.runners_of(rng.choice(site.workers))
    for runner in runners:
        _send(runner, signal.SIGSTOP)
    site.wait(seconds)
    for runner in runners:
        _send(runner, signal.SIGCONT)


def _cut_service(site: Site, _: random.Random, seconds: float) -> None:
    site.service_proxy.refuse()
    site.wait(seconds)
    site.service_proxy.restore()


def _stall_service(site: Site, _: random.Random, seconds: float) -> None:
    site.service_proxy.stall()
    site.wait(seconds)
    site.service_proxy.restore()


def _damage_snapshots(site: Site, rng: random.Random, seconds: float) -> None:
    """Cut off, or overwrite in the middle, what is on the disk; and lose the worker that would need it."""
    for file in sorted((site.disk / "snapshots").rglob("*")):
        with suppress(OSError):
            if file.is_file():
                _damage(file, rng=rng)
    _kill_machine(site, rng, seconds)


def _damage(file: Path, *, rng: random.Random) -> None:
    size = file.stat().st_size
    if rng.random() < 0.5:
        os.truncate(file, size // 2)
        return
    with file.open("r+b") as damaged:
        damaged.seek(size // 2)
        damaged.write(rng.randbytes(min(64, size - size // 2)))


def _restart_database(site: Site, _: random.Random, seconds: float) -> None:
    _take_database_down(site, signal.SIGINT, seconds=seconds)


def _kill_database(site: Site, _: random.Random, seconds: float) -> None:
    _take_database_down(site, signal.SIGQUIT, seconds=seconds)


def _take_database_down(site: Site, how: signal.Signals, *, seconds: float) -> None:
    server = _not_none(site.server)
    server.stop(how)
    site.wait(seconds)
    server.start()


def _cut_database(site: Site, _: random.Random, seconds: float) -> None:
    _not_none(site.database_proxy).cut()
    site.wait(seconds)


def _stall_database(site: Site, _: random.Random, seconds: float) -> None:
    proxy = _not_none(site.database_proxy)
    proxy.stall()
    site.wait(seconds)
    proxy.restore()


def _refuse_database(site: Site, _: random.Random, seconds: float) -> None:
    proxy = _not_none(site.database_proxy)
    proxy.refuse()
    site.wait(seconds)
    proxy.restore()


def _lock_database(site: Site, _: random.Random, seconds: float) -> None:
    """Another program holds SQLite's only right to write."""
    with closing(sqlite3.connect(site.disk / "tuner.db", timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        site.wait(seconds)
        connection.execute("ROLLBACK")


def _fill_disk(site: Site, _: random.Random, seconds: float) -> None:
    ballast = site.disk / "ballast"
    try:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        site.wait(seconds)
    finally:
        ballast.unlink()


def _mount_read_only(site: Site, _: random.Random, seconds: float) -> None:
    folder = site.disk / "snapshots"
    folder.mkdir(exist_ok=True)
    with _mounted("--bind", str(folder), str(folder)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        site.wait(seconds)


@contextmanager
def _mounted(*arguments: str) -> Iterator[None]:
    subprocess.run(["mount", *arguments], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", arguments[-1]], check=True)


def _jump_clock(site: Site, rng: random.Random, seconds: float) -> None:
    """The workers' clock jumps by up to two days, forward or back."""
    _, file = _not_none(site.faketime)
    file.write_text(f"{rng.choice((-1, 1)) * rng.randint(60, 2 * 86_400):+d}\n")
    site.wait(seconds)
    file.write_text("+0\n")


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _not_none(value: T | None) -> T:
    assert value is not None
    return value
