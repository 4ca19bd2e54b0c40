"""The whole search on losses of real runs (benchmarks/data/README.md), as `make bench-search` replays it."""

from __future__ import annotations

import statistics

import pytest

from benchmarks.lab.files import load_table
from benchmarks.search.cases import Case, case_of, incumbent_of
from benchmarks.search.ours import ours

STUDIES = 5


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Studies on a random 70 % of the recorded LLaMA runs each."""
    table = load_table("llama124m_slimpajama")
    incumbent = incumbent_of(table)
    return [case_of(table, incumbent=incumbent, subset=0.7, number=number) for number in range(STUDIES)]


@pytest.mark.parametrize(("budget", "regret"), [(5.0, 0.004), (10.0, 0.001)])
def test_a_few_full_runs_find_a_schedule_within_thousandths_of_a_nat_of_the_best(
    cases: list[Case], budget: float, regret: float
) -> None:
    rows = [ours(case, budget=budget) for case in cases]
    assert all(row["cost"] <= budget for row in rows)
    assert statistics.fmean(row["true"] - row["best"] for row in rows) <= regret


def test_nothing_truly_worse_than_the_incumbent_is_recommended(cases: list[Case]) -> None:
    rows = [ours(case, budget=5.0) for case in cases]
    assert all(row["true"] <= row["incumbent"] for row in rows)


def test_forecasts_save_steps_and_do_not_stop_the_best(cases: list[Case]) -> None:
    stops = [ours(case, budget=10.0)["stops"] for case in cases]
    assert sum(one["saved"] for one in stops) > 0.0
    assert not any(one["best_asked_stopped"] or one["false"] for one in stops)
