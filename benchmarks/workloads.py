"""Whether the schedule matters on the built-in workloads: the best constant rate against the best decay to zero.

    python -m benchmarks.workloads [--workload NAME ...] [--optimizer sgd|adam ...] [--seeds 5] [--processes 2]

Every workload is trained with its default options for its default number of updates, with each schedule at six peak
learning rates (the upper two decades of the workload's own range, evenly spread on a log scale) and several seeds;
all schedules warm up over 5 %. The best rate of a schedule is the one with the least median validation loss. "wins"
counts the seeds for which the best decay beats the best constant rate, and "wins at any rate" those for which it beats
every constant rate of the grid with that seed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import multiprocessing
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tuner.schedules import Schedule
from tuner.training.protocol import Directive, Train

FAMILIES: dict[str, dict[str, Any]] = {
    "constant": {"name": "constant"},
    "linear": {"name": "linear"},
    "cosine": {"name": "cosine"},
    "wsd": {"name": "wsd", "cooldown": 0.4, "shape": "1-sqrt"},
}
RATES = 6
FIRST_SEED = 1000

Losses = dict[tuple[str, float], list[float]]
"""Family and peak rate -> validation loss per seed; a diverged run is infinite."""


@cache
def _workloads() -> dict[str, Any]:
    from tuner.workloads import builtin_workloads

    return builtin_workloads()


def _train(workload: str, optimizer: str, family: str, peak_lr: float, seed: int) -> tuple[float, float]:
    """Validation loss at the end, and seconds."""
    from tuner.training.runner.execute import execute

    warmup = {"shape": "linear", "fraction": 0.05}
    with tempfile.TemporaryDirectory() as folder:
        request = Train(
            run_id="benchmark",
            workload=workload,
            options={"optimizer": optimizer},
            schedule=Schedule.model_validate({"peak_lr": peak_lr, "family": FAMILIES[family], "warmup": warmup}),
            total_steps=_workloads()[workload].default_steps,
            seed=seed,
            snapshot_dir=folder,
            snapshot_seconds=math.inf,
        )
        began = time.perf_counter()
        ended = execute(
            request,
            workloads=_workloads(),
            device="cpu",
            on_evaluation=lambda _: Directive(),
            on_snapshot=lambda _: None,
        )
    if ended.traceback:
        raise RuntimeError(ended.traceback)
    return ended.loss if ended.loss is not None else math.inf, time.perf_counter() - began


def measure(workload: str, *, optimizer: str, seeds: int, pool: ProcessPoolExecutor) -> dict[str, Any]:
    """Train the whole grid and compare the best of the constants with the best of the decays."""
    high = _workloads()[workload].peak_lr[optimizer][1]
    grid = [float(f"{rate:.3g}") for rate in np.geomspace(high / 100, high, RATES)]
    cells = list(itertools.product(FAMILIES, grid, range(FIRST_SEED, FIRST_SEED + seeds)))
    runs = list(pool.map(_train, *zip(*((workload, optimizer, *cell) for cell in cells), strict=True)))
    losses: Losses = {}
    for (family, rate, _), (loss, _) in zip(cells, runs, strict=True):
        losses.setdefault((family, rate), []).append(loss)
    constant = min((key for key in losses if key[0] == "constant"), key=lambda key: statistics.median(losses[key]))
    decay = min((key for key in losses if key[0] != "constant"), key=lambda key: statistics.median(losses[key]))
    any_constant = [min(losses["constant", rate][seed] for rate in grid) for seed in range(seeds)]
    best, rival = statistics.median(losses[decay]), statistics.median(losses[constant])
    return {
        "workload": workload,
        "optimizer": optimizer,
        "updates": _workloads()[workload].default_steps,
        "seconds_per_run": statistics.median(seconds for _, seconds in runs),
        "best_constant": {"peak_lr": constant[1], "loss": rival},
        "best_decay": {"family": decay[0], "peak_lr": decay[1], "loss": best},
        "lift": 1 - best / rival,
        "wins": sum(ours < theirs for ours, theirs in zip(losses[decay], losses[constant], strict=True)),
        "wins_at_any_rate": sum(ours < theirs for ours, theirs in zip(losses[decay], any_constant, strict=True)),
        "seeds": seeds,
        "medians": {
            family: {str(rate): statistics.median(losses[family, rate]) for rate in grid} for family in FAMILIES
        },
        "losses": {f"{family} {rate}": values for (family, rate), values in losses.items()},
    }


def _show(result: dict[str, Any]) -> None:
    print(f"\n{result['workload']}, {result['optimizer']}, {result['updates']} updates, ", end="")
    print(f"{result['seconds_per_run']:.2f} s per run; median validation loss of {result['seeds']} seeds")
    rates = list(next(iter(result["medians"].values())))
    print(f"{'peak lr':10}" + "".join(f"{rate:>10}" for rate in rates))
    for family, medians in result["medians"].items():
        print(f"{family:10}" + "".join(f"{loss:10.4f}" for loss in medians.values()))
    decay, constant = result["best_decay"], result["best_constant"]
    print(f"best decay {decay['family']} at {decay['peak_lr']}: {decay['loss']:.4f}; ", end="")
    print(f"best constant at {constant['peak_lr']}: {constant['loss']:.4f}; lift {result['lift']:.1%}; ", end="")
    print(f"wins {result['wins']}/{result['seeds']}, at any rate {result['wins_at_any_rate']}/{result['seeds']}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", action="append", help="all when absent")
    parser.add_argument("--optimizer", action="append", help="the workload's own when absent")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/workloads.json"))
    args = parser.parse_args(arguments)
    results = []
    with ProcessPoolExecutor(args.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for workload in args.workload or list(_workloads()):
            for optimizer in args.optimizer or [str(_workloads()[workload].optimizer)]:
                results.append(measure(workload, optimizer=optimizer, seeds=args.seeds, pool=pool))
                _show(results[-1])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=1).replace("Infinity", "null"))  # JSON has no infinity
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
