"""Runs a service and its attackers, and measures the service's memory and a well-behaved caller's latencies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.pool import AsyncResult, Pool
from pathlib import Path
from typing import Final

import httpx2

from benchmarks._filled import fill
from benchmarks.load.attacks import ATTACKS, Target
from tuner.people.permissions import Role
from tuner.store import Store

PAUSE_SECONDS: Final = 0.05
_TIMEOUT_SECONDS: Final = 30.0
_JOBS: Final = 100
_NICE: Final = 10
_RUNS_PER_JOB: Final = 4


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A well-behaved caller beside one attack, and the service."""

    attack: str
    requests: int
    failed: int
    """Requests without a response of status 200."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    peak_mib: float
    """The largest resident memory of the service since it started."""
    files: int
    """Open files of the service at the end of the attack."""
    responses: str
    """What the attackers saw."""


def measure(attacks: Sequence[str], *, seconds: float) -> list[Measurement]:
    """Measure without an attack, with each, and with all at the same time.

    Args:
        attacks: Their names.
        seconds: Of each measurement.
    """
    with tempfile.TemporaryDirectory() as folder, _processes(len(attacks)) as pool:
        url = f"sqlite:///{folder}/tuner.db"
        Store.open(url).close()
        ids = fill(url, weights=(1.0,), jobs=_JOBS, ready_runs=_RUNS_PER_JOB)
        tokens = [_token(url, user=user) for user in ("caller", "attacker")]
        with _service(Path(folder)) as (address, pid):
            target = Target(url=address, secret=tokens[1], job_id=ids[0])
            rounds = [(), *((attack,) for attack in attacks), *([tuple(attacks)] if len(attacks) > 1 else [])]
            results = []
            for chosen in rounds:
                running = [pool.apply_async(_attack, (name, target, seconds)) for name in chosen]
                latencies, failed = _called(f"{address}/v1/jobs/{ids[1]}", secret=tokens[0], seconds=seconds)
                name = "none" if not chosen else chosen[0] if len(chosen) == 1 else "all"
                results.append(_measurement(name, latencies=latencies, failed=failed, pid=pid, running=running))
            return results


def _measurement(
    attack: str, *, latencies: Sequence[float], failed: int, pid: int, running: list[AsyncResult[str]]
) -> Measurement:
    files = _open_files(pid)
    ordered = sorted(latencies)
    return Measurement(
        attack=attack,
        requests=len(ordered),
        failed=failed,
        p50_ms=1e3 * statistics.median(ordered),
        p99_ms=1e3 * ordered[int(0.99 * (len(ordered) - 1))],
        max_ms=1e3 * ordered[-1],
        peak_mib=_peak_mib(pid),
        files=files,
        responses="; ".join(each.get() for each in running),
    )


@contextmanager
def _processes(count: int) -> Iterator[Pool]:
    """Processes for the attackers."""
    pool = multiprocessing.get_context("spawn").Pool(count)
    try:
        yield pool
    finally:
        pool.close()
        pool.join()


def _attack(name: str, target: Target, seconds: float) -> str:
    """Run an attack in a process of the pool, which leaves the processors to the service: elsewhere it has its own."""
    os.nice(_NICE - os.nice(0))

    async def run() -> str:
        seen = await ATTACKS[name](target, time.monotonic() + seconds)
        return ", ".join(f"{status} x {count}" for status, count in sorted(seen.items()))

    return asyncio.run(run())


def _called(url: str, *, secret: str, seconds: float) -> tuple[list[float], int]:
    """A well-behaved caller: the seconds of each request, and how many failed."""
    latencies: list[float] = []
    failed, end = 0, time.monotonic() + seconds
    with httpx2.Client(headers={"Authorization": f"Bearer {secret}"}, timeout=_TIMEOUT_SECONDS) as client:
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                failed += client.get(url).status_code != 200
            except httpx2.HTTPError:
                failed += 1
            latencies.append(time.perf_counter() - began)
            time.sleep(PAUSE_SECONDS)
    return latencies, failed


def _token(url: str, *, user: str) -> str:
    """A viewer's token."""
    with closing(Store.open(url)) as store:
        store.people.put_user(user)
        store.people.put_member("team0", user, Role.VIEWER)
        return store.people.create_token(user, team="team0", role=Role.VIEWER)[1]


def _open_files(pid: int) -> int:
    folder = f"/proc/{pid}/fd"
    try:
        return len(os.listdir(folder))
    except PermissionError:  # the service is private, so that root alone lists them; Linux 6.2 counts them for all
        return os.stat(folder).st_size


def _peak_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def _service(folder: Path) -> Iterator[tuple[str, int]]:
    """The service as a process; yields its address and its process id."""
    arguments = [sys.executable, "-m", "tuner_service", "--port", "0", "--data-dir", str(folder)]
    with (folder / "service.log").open("w") as log:
        environment = {**os.environ, "TUNER_AUTH": "on"}
        process = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        found = next((match for line in lines if (match := re.search(r"listens on (http://\S+)", line))), None)
        if found is None:
            raise RuntimeError(f"the service did not start: {(folder / 'service.log').read_text()}")
        yield found[1], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
