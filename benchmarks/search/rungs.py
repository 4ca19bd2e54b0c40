"""How well a short, compressed run ranks schedules: losses of a grid at a ninth, a third and all of a horizon."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.search.oracle import TASKS, Task, final_loss, space_of
from tuner.schedules import Constant, Cosine, Linear, Polynomial, Schedule, Warmup, Wsd

SHAPES = {
    "constant": Constant(),
    "linear": Linear(),
    "cosine": Cosine(),
    "cooldown 20 %": Wsd(cooldown=0.2, shape="linear"),
    "cooldown 50 %": Wsd(cooldown=0.5, shape="linear"),
    "cooldown 80 %": Wsd(cooldown=0.8, shape="linear"),
    "1-sqrt 40 %": Wsd(cooldown=0.4, shape="1-sqrt"),
    "square": Polynomial(power=2.0),
}
PEAKS = 9
_LOWEST_LEFT_OUT = 2
"""The lowest of the peaks, which are far too low everywhere."""
PARTS = (1, 3, 9)
WARMUP = Warmup(shape="linear", fraction=0.05)


def run(*, workers: int) -> list[dict[str, Any]]:
    """One line a task and part of the horizon."""
    jobs = [(task, shape, peak, part) for task in TASKS for shape in SHAPES for peak in _peaks(task) for part in PARTS]
    with ProcessPoolExecutor(workers) as pool:
        losses = dict(zip(jobs, pool.map(_loss, jobs, chunksize=8), strict=True))
    return [_line(task, part, losses=losses) for task in TASKS for part in PARTS[1:]]


def _peaks(task: Task) -> list[float]:
    peaks = space_of(task).peak_lr
    return [float(peak) for peak in np.geomspace(peaks.low, peaks.high, PEAKS)[_LOWEST_LEFT_OUT:]]


def _loss(job: tuple[Task, str, float, int]) -> float:
    task, shape, peak, part = job
    schedule = Schedule(peak_lr=peak, family=SHAPES[shape], warmup=WARMUP)
    loss, _ = final_loss(task, schedule, steps=-(-task.total_steps // part), seed=0)
    return float("inf") if loss is None else loss


def _line(task: Task, part: int, *, losses: dict[tuple[Task, str, float, int], float]) -> dict[str, Any]:
    configs = [(shape, peak) for shape in SHAPES for peak in _peaks(task)]
    whole = np.array([losses[task, shape, peak, 1] for shape, peak in configs])
    short = np.array([losses[task, shape, peak, part] for shape, peak in configs])
    better = np.argsort(whole)[: len(whole) // 2]
    return {
        "task": task.name,
        "updates": -(-task.total_steps // part),
        "horizon": task.total_steps,
        "spearman_better_half": float(spearmanr(short[better], whole[better]).statistic),
        "rank_of_the_best": int(np.sum(short < short[int(np.argmin(whole))])) + 1,
        "configs": len(configs),
        "best_peak": configs[int(np.argmin(whole))][1],
        "best_peak_short": configs[int(np.argmin(short))][1],
    }
