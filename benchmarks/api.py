"""How long `GET /v1/jobs/{id}` takes with 50 clients, and how that grows with the rows, on PostgreSQL.

    python -m benchmarks.api [--quick]

The service runs as its own process, with a login, on a server that writes to disk. Each client asks for another job
every second, as a page that watches a job does; then the same clients ask without a pause, which measures the highest
throughput of one process. The first measurement of each database warms it up and is discarded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from benchmarks._filled import fill
from tests.integration.store.postgres_server import DURABLE, PostgresServer, running_server
from tuner.people.permissions import LOCAL_ACTOR, Role
from tuner.store import Store
from tuner.store.maintenance.migrate import upgrade

CLIENTS = 50
RUNS_PER_JOB = 4


@contextmanager
def service(url: str) -> Iterator[str]:
    """Run the service as a process; yields its address."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "TUNER_DATABASE_URL": url,
            "TUNER_DATA_DIR": folder,
            "TUNER_PORT": "0",
            "TUNER_AUTH": "on",
            "TUNER_RATE_LIMIT": "1000000/second",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tuner_service"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            line = process.stdout.readline() if process.stdout else ""
            while line and "listens on" not in line:
                line = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://\S+?:\d+", line)
            if found is None:
                raise RuntimeError("the service did not start")
            yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def token(url: str) -> str:
    """An admin's token."""
    store = Store.open(url)
    try:
        store.people.put_user("watcher", admin=True, disabled=False, by=LOCAL_ACTOR)
        _, secret = store.people.create_token(
            user="watcher", team=None, role=Role.ADMIN, label="benchmark", by=LOCAL_ACTOR
        )
    finally:
        store.close()
    return secret


async def ask(
    client: httpx2.AsyncClient, ids: Sequence[str], *, seconds: float, pause: float, took: list[float]
) -> None:
    """One client: ask for a job, wait, ask for another."""
    await asyncio.sleep(random.uniform(0, pause))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        response = await client.get(f"/v1/jobs/{random.choice(ids)}")
        took.append(time.perf_counter() - began)
        response.raise_for_status()
        if pause:
            await asyncio.sleep(max(0.0, began + pause - time.perf_counter()))


async def load(address: str, secret: str, ids: Sequence[str], *, seconds: float, pause: float) -> dict[str, float]:
    """All clients at once; milliseconds and requests per second."""
    took: list[float] = []
    limits = httpx2.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx2.AsyncClient(base_url=address, headers=headers, limits=limits, trust_env=False) as client:
        began = time.perf_counter()
        await asyncio.gather(*(ask(client, ids, seconds=seconds, pause=pause, took=took) for _ in range(CLIENTS)))
        elapsed = time.perf_counter() - began
    took.sort()
    return {
        "requests": len(took),
        "per_second": len(took) / elapsed,
        "p50_ms": 1e3 * statistics.median(took),
        "p99_ms": 1e3 * took[int(0.99 * (len(took) - 1))],
    }


def measure(server: PostgresServer, *, jobs: int, points: int, seconds: float) -> dict[str, Any]:
    """One size of database."""
    url = server.create()
    upgrade(url)
    ids = fill(url, weights=(1.0, 1.0), jobs=jobs, ready_runs=RUNS_PER_JOB, points=points)
    secret = token(url)
    with service(url) as address:
        asyncio.run(load(address, secret, ids, seconds=3.0, pause=1.0))
        paced = asyncio.run(load(address, secret, ids, seconds=seconds, pause=1.0))
        closed = asyncio.run(load(address, secret, ids, seconds=seconds / 2, pause=0.0))
    server.drop(url)
    return {"jobs": jobs, "points": jobs * RUNS_PER_JOB * points, "paced": paced, "without_pause": closed}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller databases")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/api.json"))
    args = parser.parse_args(arguments)
    random.seed(0)
    sizes = ((10, 25), (100, 25)) if args.quick else ((100, 25), (1_000, 25), (10_000, 25))
    with running_server(DURABLE) as server:
        results = [measure(server, jobs=jobs, points=points, seconds=args.seconds) for jobs, points in sizes]
    print(f"GET /v1/jobs/{{id}}, {CLIENTS} clients; milliseconds")
    print(
        f"{'jobs':>8}{'points':>10}{'each once a second: p50':>26}{'p99':>8}{'no pause: p50':>16}{'p99':>8}{'per s':>8}"
    )
    for r in results:
        paced, closed = r["paced"], r["without_pause"]
        print(f"{r['jobs']:8}{r['points']:10}{paced['p50_ms']:26.1f}{paced['p99_ms']:8.1f}", end="")
        print(f"{closed['p50_ms']:16.1f}{closed['p99_ms']:8.1f}{closed['per_second']:8.0f}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
