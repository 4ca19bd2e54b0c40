"""The queue on one PostgreSQL: exactness, shares and speed with many no-op workers.

    python -m benchmarks.queue [--quick]

First 64 workers empty a queue of 2,000 runs in 20 jobs of four teams with the weights 1 to 4: every run must be
recorded once, and while every team has queued work, each gets its share. In this part a run occupies its worker for
half a second, so that device time is proportional to runs; where claims are timed it ends at once. Then claims are
timed, with 1 to 64 workers and with 10 to 10,000 jobs, and the list, the detail and the queue's overview with as many
jobs. The server writes to disk as in production. Workers are threads with a store of their own, over two processes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks._filled import RUN_STEPS, fill, offer
from tests.integration.store.postgres_server import DURABLE, PostgresServer, running_server
from tuner.jobs.records import LeasedRun, RunRecord
from tuner.jobs.states import RunState
from tuner.store import Store
from tuner.store.maintenance.migrate import upgrade

WEIGHTS = (1.0, 2.0, 3.0, 4.0)
PROCESSES = 2
LEASE_SECONDS = 60.0
HOLD_SECONDS = 0.5


@dataclass(frozen=True)
class Claim:
    """One claim of one worker."""

    at: float
    seconds: float
    run_id: str
    job_id: str


def work(url: str, name: str, *, most: int, hold: float) -> list[Claim]:
    """Claim runs, occupy the worker for some seconds with each, and finish them, until none is left or ``most`` are."""
    claims: list[Claim] = []
    with closing(Store.open(url)) as store:
        mine = offer(name)
        while len(claims) < most:
            began = time.perf_counter()
            taken = store.queue.claim(mine, lease_seconds=LEASE_SECONDS, lock_seconds=LEASE_SECONDS)
            seconds = time.perf_counter() - began
            if taken is None:
                break
            if isinstance(taken, LeasedRun):
                claims.append(Claim(at=time.time(), seconds=seconds, run_id=taken.run_id, job_id=taken.job_id))
                time.sleep(hold)
                store.leases.finish(taken, loss=0.5, step=RUN_STEPS, updates=RUN_STEPS)
            else:  # no-op workers plan nothing
                store.planning.release(taken, again=False)
    return claims


def crowd(url: str, first: int, *, workers: int, most: int, hold: float) -> list[Claim]:
    """Run so many workers as threads of this process."""
    results: list[list[Claim]] = []
    threads = [
        threading.Thread(target=lambda name=f"w{first + number}": results.append(work(url, name, most=most, hold=hold)))
        for number in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(results) < workers:
        raise RuntimeError(f"{workers - len(results)} of {workers} workers died")
    return [claim for result in results for claim in result]


def together(url: str, *, workers: int, most: int, hold: float = 0.0) -> list[Claim]:
    """Run so many workers, distributed over the processes."""
    processes = min(PROCESSES, workers)
    shares = [workers // processes + (number < workers % processes) for number in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = [
            pool.submit(crowd, url, sum(shares[:number]), workers=share, most=most, hold=hold)
            for number, share in enumerate(shares)
        ]
        return sorted((claim for future in futures for claim in future.result()), key=lambda claim: claim.at)


def exactness(server: PostgresServer, *, jobs: int, runs_per_job: int, workers: int) -> dict[str, Any]:
    """Check that every run is recorded once, and measure the shares while every team has work."""
    url = server.create()
    upgrade(url)
    fill(url, weights=WEIGHTS, jobs=jobs, ready_runs=runs_per_job)
    began = time.perf_counter()
    claims = together(url, workers=workers, most=10**9, hold=HOLD_SECONDS)
    seconds = time.perf_counter() - began
    with closing(Store.open(url)) as store:
        team_of = {job.id: job.spec.team for job in store.jobs.list(limit=jobs).items}
        records = [run for job_id in team_of for run in _all_runs(store, job_id)]
    server.drop(url)
    seconds_of = {run.id: run.device_seconds for run in records}
    left = Counter({team: runs_per_job * sum(t == team for t in team_of.values()) for team in set(team_of.values())})
    had: Counter[str] = Counter()
    device: defaultdict[str, float] = defaultdict(float)
    for claim in claims:
        team = team_of[claim.job_id]
        had[team] += 1
        device[team] += seconds_of[claim.run_id]
        left[team] -= 1
        if left[team] == 0:
            break
    whole = sum(had.values())
    wanted = {f"team{number}": weight / sum(WEIGHTS) for number, weight in enumerate(WEIGHTS)}
    return {
        "workers": workers,
        "runs": len(records),
        "claims": len(claims),
        "every_run_once": len({claim.run_id for claim in claims}) == len(claims) == len(records)
        and all(run.state is RunState.SUCCEEDED and run.attempts == 1 for run in records),
        "seconds": seconds,
        "claims_counted_for_shares": whole,
        "shares": {team: had[team] / whole for team in sorted(had)},
        "shares_of_device_time": {team: device[team] / sum(device.values()) for team in sorted(device)},
        "wanted": wanted,
        "worst_deviation": max(abs(device[team] / sum(device.values()) / wanted[team] - 1) for team in wanted),
    }


def _all_runs(store: Store, job_id: str) -> tuple[RunRecord, ...]:
    return store.planning.load(job_id).runs


def speed(server: PostgresServer, *, workers: int, jobs: int, claims: int) -> dict[str, Any]:
    """Time claims with so many workers and jobs, then the reads of the pages."""
    url = server.create()
    upgrade(url)
    ids = fill(url, weights=WEIGHTS, jobs=jobs, ready_runs=max(1, claims // jobs + 1))
    began = time.perf_counter()
    made = together(url, workers=workers, most=max(1, claims // workers))
    elapsed = made[-1].at - made[0].at if len(made) > 1 else time.perf_counter() - began
    took = sorted(claim.seconds for claim in made)
    with closing(Store.open(url)) as store:
        reads = {
            "list": timed(lambda _: store.jobs.list(limit=50)),
            "detail": timed(lambda number: store.jobs.status(ids[number % len(ids)])),
            "report": timed(lambda number: store.jobs.report(ids[number % len(ids)])),
            "overview": timed(lambda _: store.queue.view(), times=5),
        }
    server.drop(url)
    return {
        "workers": workers,
        "jobs": jobs,
        "claims_per_second": len(made) / elapsed,
        "claim_ms": {"p50": 1e3 * statistics.median(took), "p99": 1e3 * took[int(0.99 * (len(took) - 1))]},
        **{f"{name}_ms": values for name, values in reads.items()},
    }


def timed(read: Callable[[int], Any], *, times: int = 50) -> dict[str, float]:
    """Milliseconds of a read: median and 99th percentile."""
    took = []
    for number in range(times + 1):
        began = time.perf_counter()
        read(number)
        took.append(time.perf_counter() - began)
    took = sorted(took[1:])
    return {"p50": 1e3 * statistics.median(took), "p99": 1e3 * took[int(0.99 * (len(took) - 1))]}


def show(results: Sequence[dict[str, Any]]) -> None:
    reads = ("claim", "list", "detail", "report", "overview")
    print(f"{'workers':>8}{'jobs':>8}{'claims/s':>10}" + "".join(f"{f'{name} p50/p99 ms':>24}" for name in reads))
    for r in results:
        cells = (f"{r[f'{name}_ms']['p50']:.1f} / {r[f'{name}_ms']['p99']:.1f}" for name in reads)
        print(f"{r['workers']:8}{r['jobs']:8}{r['claims_per_second']:10.0f}" + "".join(f"{cell:>24}" for cell in cells))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs, jobs and workers")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/queue.json"))
    args = parser.parse_args(arguments)
    crowds, sizes = ((1, 8), (10, 100)) if args.quick else ((1, 4, 16, 64), (10, 100, 1_000, 10_000))
    with running_server(DURABLE) as server:
        exact = exactness(server, jobs=20, runs_per_job=20 if args.quick else 100, workers=crowds[-1])
        print(f"{exact['runs']} runs, {exact['workers']} workers: every run once: {exact['every_run_once']};", end=" ")
        print(f"{exact['claims'] / exact['seconds']:.0f} runs a second, workers' start included")
        print(f"shares over {exact['claims_counted_for_shares']} claims, until a team has nothing left:", end=" ")
        print(
            ", ".join(f"{team} {share:.1%} of {exact['wanted'][team]:.0%}" for team, share in exact["shares"].items())
        )
        device = exact["shares_of_device_time"]
        print("of device time:", ", ".join(f"{team} {share:.1%}" for team, share in device.items()), end="; ")
        print(f"worst deviation from the weights: {exact['worst_deviation']:.1%}")
        cases = dict.fromkeys([(workers, 100) for workers in crowds] + [(8, jobs) for jobs in sizes])
        results = [speed(server, workers=workers, jobs=jobs, claims=800) for workers, jobs in cases]
    show(results)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"exactness": exact, "speed": results}, indent=1))
    return 0 if exact["every_run_once"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
