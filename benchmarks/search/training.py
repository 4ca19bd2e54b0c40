"""Real training: what each method finds with equal updates, measured on fresh seeds.

Every (task, method, seed) is one line of a file, written when it is done; lines of the file are not measured again.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.search.asha import asha
from benchmarks.search.oracle import TASKS, Task, final_loss
from benchmarks.search.study import BUDGET, METHODS
from tuner.schedules import Schedule

FRESH_SEEDS = tuple(range(1001, 1008))
"""With three, the noise was larger than the differences between good recommendations."""
FAILED = float("inf")
"""Loss of a recommendation that diverges on most fresh seeds."""
ALL_METHODS = {**METHODS, "asha": asha}
_TASKS = {task.name: task for task in TASKS}


def run(*, seeds: int, methods: list[str], workers: int, file: Path) -> list[dict[str, Any]]:
    """Run the studies that the file lacks; returns all requested."""
    file.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["task"], row["method"], row["seed"]): row for row in _rows(file)}
    wanted = [(task.name, method, seed) for seed in range(seeds) for method in methods for task in TASKS]
    with ProcessPoolExecutor(workers) as pool, file.open("a") as out:
        futures = [pool.submit(study, *one) for one in wanted if one not in done]
        for count, future in enumerate(as_completed(futures), start=1):
            row = future.result()
            done[row["task"], row["method"], row["seed"]] = row
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(f"\r{count} of {len(futures)} studies", end="", file=sys.stderr, flush=True)
    return [done[one] for one in wanted]


def study(task_name: str, method: str, seed: int) -> dict[str, Any]:
    """One study, and its recommendation on fresh seeds."""
    task = _TASKS[task_name]
    found = ALL_METHODS[method](task, seed)
    return {
        "task": task_name,
        "method": method,
        "seed": seed,
        "schedule": None if found is None else json.loads(found.to_json()),
        "losses": [] if found is None else [_measured(task, found, fresh) for fresh in FRESH_SEEDS],
    }


@lru_cache(maxsize=10_000)
def _measured(task: Task, schedule: Schedule, seed: int) -> float | None:
    return final_loss(task, schedule, steps=task.total_steps, seed=seed)[0]


def median_loss(row: dict[str, Any]) -> float:
    """The median over the fresh seeds; `FAILED` when it diverges on most, or there is none."""
    return statistics.median([FAILED if loss is None else loss for loss in row["losses"]] or [FAILED])


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per task and rival: medians over the seeds at equal updates, and how often ours is better."""
    by_method: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for row in rows:
        by_method.setdefault((row["task"], row["method"]), {})[row["seed"]] = row
    lines = []
    for (task, method), studies in sorted(by_method.items()):
        ours = by_method[task, "ours"]
        both = sorted(studies.keys() & ours.keys())
        own = [median_loss(ours[seed]) for seed in both]
        theirs = [median_loss(studies[seed]) for seed in both]
        lines.append(
            {
                "task": task,
                "method": method,
                "seeds": len(both),
                "budget": BUDGET,
                "median": statistics.median(theirs),
                "ours": statistics.median(own),
                "ours_better": sum(a < b for a, b in zip(own, theirs, strict=True)) / len(both),
                "ours_as_good": sum(a <= b for a, b in zip(own, theirs, strict=True)) / len(both),
                "diverged": sum(loss == FAILED for loss in theirs) / len(both),
            }
        )
    return lines


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if not file.exists():
        return
    for line in file.read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue  # a line that was cut off when a run was ended
        if "losses" in row:  # else of an earlier format
            yield row
