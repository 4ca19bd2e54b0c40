"""The rivals of a replay."""

from __future__ import annotations

import math

import pytest

from benchmarks.lab.table import RecordedTable
from benchmarks.search.cases import Case, case_of, incumbent_of
from benchmarks.search.rivals.path import Path
from benchmarks.search.rivals.rivals import RIVALS
from benchmarks.search.rivals.rules import linears
from tests.unit.benchmarks.search.conftest import PEAKS, STEPS

BUDGET = 6.0


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_pays_for_its_confirmation_and_never_more_than_the_budget(case: Case, name: str) -> None:
    path = RIVALS[name](case, BUDGET)
    for budget in (1.0, 2.0, 3.0, BUDGET):
        found = path.confirmed(budget)
        if found is not None:
            configuration, cost = found
            assert configuration in case.candidates
            assert cost <= budget + 1e-9


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_repeats_itself(case: Case, name: str) -> None:
    assert RIVALS[name](case, BUDGET).complete == RIVALS[name](case, BUDGET).complete


def test_a_third_of_the_budget_goes_into_fresh_seeds(case: Case) -> None:
    path = RIVALS["random"](case, 9.0)
    six = [one for _, one, _ in path.complete[:6]]
    found = path.confirmed(9.0)
    assert found is not None
    assert found[0] in six
    assert found[1] == pytest.approx(9.0)


def test_what_is_confirmed_has_the_least_mean_over_its_runs(case: Case) -> None:
    path = Path(case=case)
    for one in case.candidates:
        path.train(one)
    best = sorted(path.complete, key=lambda row: row[2])[:3]
    means = {}
    for _, one, _ in best:
        losses = [case.run(one, place=place)[1] for place in range(len(case.seeds))]
        means[one] = math.fsum(math.inf if loss is None else loss for loss in losses[:3]) / 3
    found = path.confirmed(18.0)  # six runs: two more of each of three
    assert found is not None
    assert found[0] == min(means, key=lambda one: means[one])


def test_on_one_seed_all_of_the_budget_is_search(one_seed: RecordedTable) -> None:
    case = case_of(one_seed, incumbent=incumbent_of(one_seed), subset=1.0, number=0)
    path = RIVALS["random"](case, BUDGET)
    found = path.confirmed(BUDGET)
    assert found is not None
    assert found[1] == BUDGET
    assert case.regret(found[0]) == min(case.regret(one) for _, one, _ in path.complete)


def test_rules_of_thumb_cost_one_run(case: Case) -> None:
    for name in ("the default, once", "linear to zero, once"):
        found = RIVALS[name](case, BUDGET).confirmed(BUDGET)
        assert found is not None
        assert found[1] == 1.0
    assert RIVALS["the default, once"](case, BUDGET).asked == [case.incumbent]


def test_there_is_one_linear_decay_for_each_peak(case: Case) -> None:
    assert [one.schedule.peak_lr for one in linears(case)] == list(PEAKS)


def test_without_a_linear_decay_the_longest_linear_cooldown_stands_for_it(table: RecordedTable) -> None:
    case = case_of(table, incumbent=incumbent_of(table), subset=1.0, number=0)
    kept = tuple(one for one in case.candidates if one.schedule.family.name != "linear")
    without = Case(table=table, incumbent=case.incumbent, candidates=kept, seeds=case.seeds, number=0)
    assert {one.schedule.family.name for one in linears(without)} == {"wsd"}


def test_a_diverged_run_costs_what_it_trained_and_is_no_result(case: Case) -> None:
    diverging = next(row.configuration for row in case.table.rows if row.loss is None)
    seed = next(row.seed for row in case.table.rows if row.loss is None)
    there = Case(
        table=case.table, incumbent=case.incumbent, candidates=case.candidates, seeds=(seed, *case.seeds), number=0
    )
    path = Path(case=there)
    assert path.train(diverging) == math.inf
    assert path.cost == 60 / STEPS
    assert not path.complete
