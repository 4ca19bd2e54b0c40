"""Milliseconds per update of each built-in workload on one core, and what the engine adds to a bare loop.

    python -m benchmarks.training [--updates 400] [--repeats 7]

The bare loop makes the same updates (batch, gradient, clipping, optimizer) and nothing else: no evaluation, no
divergence guard, no messages. Processor time, the least of the repeats. The run is evaluated as often as every run is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from tuner.schedules import Constant, Schedule
from tuner.training.evaluation_steps import evaluation_steps
from tuner.training.protocol import Directive, Train
from tuner.training.runner.execute import execute
from tuner.training.workload import DeclaredWorkload
from tuner.workloads import builtin_workloads

SCHEDULE = Schedule(peak_lr=1e-3, family=Constant())
SEED = 1


def bare_loop(workload: DeclaredWorkload, *, updates: int) -> tuple[float, float]:
    """Processor seconds of the updates alone, and of one evaluation."""
    torch.manual_seed(SEED)
    parts = workload.declare(workload.Options(), seed=SEED, device=torch.device("cpu"))
    lrs = SCHEDULE.lrs(updates).tolist()
    parts.model.train()
    began = time.process_time()
    for step in range(updates):
        for group in parts.optimizer.param_groups:
            group["lr"] = lrs[step]
        parts.optimizer.zero_grad()
        loss = parts.loss(parts.model, parts.batch(step))
        loss.backward()
        if parts.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(parts.model.parameters(), parts.clip_norm)
        parts.optimizer.step()
    updated = time.process_time()
    with torch.no_grad():
        parts.evaluate(parts.model.eval())
    return updated - began, time.process_time() - updated


def engine(workload: DeclaredWorkload, *, updates: int) -> float:
    """Processor seconds of a whole run."""
    with tempfile.TemporaryDirectory() as folder:
        request = Train(
            run_id="benchmark",
            workload=workload.name,
            options={},
            schedule=SCHEDULE,
            total_steps=updates,
            seed=SEED,
            snapshot_dir=folder,
            snapshot_seconds=3600.0,
        )
        began = time.process_time()
        ended = execute(
            request,
            workloads={workload.name: workload},
            device="cpu",
            on_evaluation=lambda _: Directive(),
            on_snapshot=lambda _: None,
        )
        seconds = time.process_time() - began
    if ended.loss is None:
        raise RuntimeError(f"{workload.name} {ended.outcome}: {ended.reason}")
    return seconds


def measure(workload: Any, *, updates: int, repeats: int) -> dict[str, Any]:
    engine(workload, updates=20)  # loads data and code
    turns = [(*bare_loop(workload, updates=updates), engine(workload, updates=updates)) for _ in range(repeats)]
    bare, evaluation, whole = (min(values) for values in zip(*turns, strict=True))
    evaluations = (1 + len(evaluation_steps(updates))) * evaluation
    return {
        "workload": workload.name,
        "ms_per_update_bare": 1e3 * bare / updates,
        "ms_per_update_engine": 1e3 * whole / updates,
        "ms_per_evaluation": 1e3 * evaluation,
        "overhead": whole / bare - 1,
        "overhead_without_evaluations": (whole - evaluations) / bare - 1,
        "default_steps": workload.default_steps,
        "seconds_per_full_run": whole / updates * workload.default_steps,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/training.json"))
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    results = [measure(w, updates=args.updates, repeats=args.repeats) for w in builtin_workloads().values()]
    print(f"{'workload':14}{'bare ms':>9}{'engine ms':>11}{'overhead':>10}{'without evaluations':>21}{'s per run':>11}")
    for r in results:
        print(f"{r['workload']:14}{r['ms_per_update_bare']:9.3f}{r['ms_per_update_engine']:11.3f}", end="")
        print(f"{r['overhead']:10.1%}{r['overhead_without_evaluations']:21.1%}{r['seconds_per_full_run']:11.2f}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
