"""Studies on live workloads."""

from __future__ import annotations

import pytest

from benchmarks.search import live
from tuner.errors import InvalidValue
from tuner.schedules import Constant, Linear, Schedule
from tuner.search.configuration import Configuration


def test_an_exactly_solvable_workload_has_its_exact_truth() -> None:
    shapes = [Configuration(schedule=Schedule(peak_lr=0.3, family=family)) for family in (Constant(), Linear())]
    truth = live.true_losses("power-law-easy", shapes)
    assert truth[shapes[1]] < truth[shapes[0]]
    assert truth == live.true_losses("power-law-easy", shapes)


def test_regret_is_above_the_best_of_all_schedules_and_harm_against_the_default() -> None:
    rows = live.run("power-law-easy", studies=2, budgets=(2.0,), incumbent=None, workers=1)
    assert [row["study"] for row in rows] == [0, 1]
    assert all(row["true"] > row["best"] for row in rows)
    assert len({row["incumbent"] for row in rows}) == 1
    assert all(row["cost"] <= 2.0 for row in rows)


def test_an_unknown_workload_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidValue, match="noisy-classification-a"):
        live.run("no-such", studies=1, budgets=(2.0,), incumbent=None, workers=1)
