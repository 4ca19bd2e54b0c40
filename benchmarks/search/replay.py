"""Our search and its rivals over the recorded runs: regret against cost, and what pruning threw away."""

from __future__ import annotations

import statistics
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from random import Random
from typing import Any

import numpy as np

from benchmarks.search.replay_ours import RUNG, search
from benchmarks.search.replay_rivals import RIVALS, paths
from benchmarks.search.table import HORIZON, Config, recorded

COSTS = (2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""In full runs."""
WHOLE = "the whole table"
PART = "a random 70 % of the table"
_SHARE = 0.7


def run(*, seeds: int, workers: int) -> dict[str, Any]:
    """Both settings, so many seeds each."""
    result: dict[str, Any] = {"seeds": seeds, "costs": COSTS}
    with ProcessPoolExecutor(workers) as pool:
        for setting in (WHOLE, PART):
            rows = list(pool.map(partial(_seed, setting=setting), range(seeds), chunksize=8))
            result[setting] = _summary(rows)
    return result


def _seed(seed: int, *, setting: str) -> dict[str, dict[str, Any]]:
    """By method: the regret at each cost (``None`` without a result), and whether the best asked was trained."""
    table = recorded()
    configs = table.configs(RUNG)
    if setting == PART:
        configs = Random(seed).sample(configs, round(_SHARE * len(configs)))
    least = min(table.loss(config, HORIZON) for config in configs)

    def regret(config: Config | None) -> float | None:
        return None if config is None else table.loss(config, HORIZON) - least

    rows: dict[str, dict[str, Any]] = {}
    for name, path in paths(configs, budget=max(COSTS), seed=seed):
        rows[name] = {"regret": [regret(path.best(cost)) for cost in COSTS], "best_trained": path.best_asked_trained}
    found = [search(configs, budget=cost, seed=seed) for cost in COSTS]
    rows["ours"] = {
        "regret": [regret(one.config) for one in found],
        "best_trained": found[-1].best_asked_trained,
        "spent": [one.cost for one in found],
    }
    unlimited = search(configs, budget=None, seed=seed, trials=min(15, len(configs)))
    rows["ours, 15 trials"] = {
        "regret": [None] * len(COSTS),
        "best_trained": unlimited.best_asked_trained,
        "regret_at_end": regret(unlimited.config),
        "cost": unlimited.cost,
    }
    return rows


def _summary(rows: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for name in ("ours", *RIVALS, "ours, 15 trials"):
        by_cost: defaultdict[float, list[float]] = defaultdict(list)
        for row in rows:
            for cost, regret in zip(COSTS, row[name]["regret"], strict=True):
                if regret is not None:
                    by_cost[cost].append(regret)
        summary[name] = {
            "mean": {cost: statistics.fmean(regrets) for cost, regrets in by_cost.items()},
            "p95": {cost: float(np.quantile(regrets, 0.95)) for cost, regrets in by_cost.items()},
            "with_result": {cost: len(regrets) / len(rows) for cost, regrets in by_cost.items()},
            "best_asked_pruned": 1.0 - sum(row[name]["best_trained"] for row in rows) / len(rows),
        }
    ends = [row["ours, 15 trials"] for row in rows]
    summary["ours, 15 trials"] |= {
        "regret_at_end": statistics.fmean(end["regret_at_end"] for end in ends),
        "cost": statistics.fmean(end["cost"] for end in ends),
    }
    summary["ours"]["spent"] = {
        cost: statistics.fmean(row["ours"]["spent"][index] for row in rows) for index, cost in enumerate(COSTS)
    }
    return summary
