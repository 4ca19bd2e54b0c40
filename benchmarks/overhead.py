"""The overhead of a study beside its training: a real worker on a SQLite file, at 50 ms per update.

    python -m benchmarks.overhead [--quick] [--seconds 0.05]

The training code waits in place of a device, and records when it worked. Everything else is real: the worker's process,
its runner, the queue, Optuna's study, the report. The benchmark prints the share of the wall time, from the first run's
start to the last one's end, that went neither into updates nor into evaluations, and the gaps between the end of a
run's work and the first update of the next, in which the device is idle.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._waiting import Waiting
from tuner.devices import Device, DeviceKind
from tuner.jobs.admission.admit import admit
from tuner.jobs.records import WorkerOffer
from tuner.jobs.states import JobState, is_terminal
from tuner.store import Store
from tuner.training.workload import describe

SEARCH = {"total_steps": 270, "budget": 16, "trials": 12}
QUICK = {"total_steps": 90, "budget": 8, "trials": 6}
TARGETS = {"share": 0.02, "median_gap_ms": 50.0}


@dataclass(frozen=True)
class Work:
    """An update or an evaluation of a run."""

    what: str
    run: int
    began: float
    ended: float


def study(folder: Path, *, search: dict[str, Any], seconds: float) -> tuple[list[Work], Any]:
    """Let a worker run a whole study; returns its trace and the job."""
    trace, url = folder / "trace", f"sqlite:///{folder / 'tuner.db'}"
    info = describe(Waiting())
    with closing(Store.open(url)) as store:
        cpu = Device(name="cpu", torch_name="cpu", kind=DeviceKind.CPU, model="cpu")
        store.workers.announce(WorkerOffer.of("setting-up", device=cpu, workloads=[info]), workloads=[info])
        store.workers.retire("setting-up")
        options = {"seconds": seconds, "trace": str(trace)}
        request = {"workload": info.name, "options": options, "search": search}
        job_id = store.jobs.submit(admit(request, workloads=[info])).id
        command = [sys.executable, "-m", "tuner_worker", "--device", "cpu", "--workload", "benchmarks._waiting:Waiting"]
        with (folder / "worker.log").open("wb") as log:
            environment = {**os.environ, "TUNER_DATABASE_URL": url, "TUNER_DATA_DIR": str(folder)}
            worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            while not is_terminal(store.jobs.get(job_id).state):
                if worker.poll() is not None:
                    raise RuntimeError((folder / "worker.log").read_text())
                time.sleep(1.0)
        finally:
            worker.terminate()
            worker.wait()
        job = store.jobs.get(job_id)
    if job.state is not JobState.COMPLETED:
        raise RuntimeError(f"the job {job.state.value}: {job.error}")
    return read_trace(trace), job


def read_trace(file: Path) -> list[Work]:
    work, run = [], -1
    for line in file.read_text().splitlines():
        what, began, ended = line.split()
        if what == "run":
            run += 1
        else:
            work.append(Work(what=what, run=run, began=float(began), ended=float(ended)))
    return work


def measures(work: list[Work]) -> dict[str, Any]:
    by_run = defaultdict(list)
    for piece in work:
        by_run[piece.run].append(piece)
    ends = [max(piece.ended for piece in by_run[run]) for run in sorted(by_run)]
    begins = [_first_update(by_run[run]) for run in sorted(by_run)]
    gaps = sorted(1e3 * (begin - end) for begin, end in zip(begins[1:], ends, strict=False))
    wall = work[-1].ended - work[0].began
    return {
        "runs": len(by_run),
        "updates": sum(piece.what == "update" for piece in work),
        "wall_seconds": wall,
        "share": 1 - sum(piece.ended - piece.began for piece in work) / wall,
        "median_gap_ms": statistics.median(gaps),
        "p95_gap_ms": gaps[int(0.95 * (len(gaps) - 1))],
        "max_gap_ms": gaps[-1],
    }


def _first_update(work: list[Work]) -> float:
    """When a run starts to train; a run that shares all its updates only evaluates."""
    return next((piece.began for piece in work if piece.what == "update"), work[0].began)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a shorter study")
    parser.add_argument("--seconds", type=float, default=0.05, help="of an update")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/overhead.json"))
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        work, job = study(Path(folder), search=QUICK if args.quick else SEARCH, seconds=args.seconds)
    found = {**measures(work), "updates_saved": job.updates_saved, "seconds_per_update": args.seconds}
    print(f"{found['runs']} runs, {found['updates']:,} updates in {found['wall_seconds']:.1f} s;", end=" ")
    print(f"{found['updates_saved']:,} updates saved by sharing")
    print(f"neither updates nor evaluations: {found['share']:.1%} of the time (target: under {TARGETS['share']:.0%})")
    print(
        f"gap between runs: median {found['median_gap_ms']:.0f} ms (target: under {TARGETS['median_gap_ms']:.0f}),",
        end=" ",
    )
    print(f"p95 {found['p95_gap_ms']:.0f} ms, max {found['max_gap_ms']:.0f} ms")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
