"""The whole search on losses of real runs (benchmarks/data/README.md), as `make bench-search` replays it."""

from __future__ import annotations

import pytest

from benchmarks.search.replay_ours import RUNG, search
from benchmarks.search.table import HORIZON, recorded


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_three_full_runs_find_a_schedule_within_half_a_thousandth_of_a_nat_of_the_best(seed: int) -> None:
    table = recorded()
    configs = table.configs(RUNG)
    found = search(configs, budget=3.0, seed=seed)
    assert found.cost <= 3.0
    assert table.loss(found.config, HORIZON) - min(table.loss(one, HORIZON) for one in configs) <= 0.0005


def test_the_best_of_fifteen_is_not_pruned() -> None:
    configs = recorded().configs(RUNG)
    assert all(search(configs, budget=None, seed=seed, trials=15).best_asked_trained for seed in range(5))
