"""What a job may cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.search.decision.study_states import STEPS, settings
from tuner.search.decision.budget import price
from tuner.search.decision.seeds import run_seed


@given(budget=st.floats(1.0, 100.0), trials=st.none() | st.integers(1, 100), seeds=st.integers(1, 50))
def test_the_price_is_never_above_the_budget_nor_above_what_may_be_tried(
    budget: float, trials: int | None, seeds: int
) -> None:
    found = price(settings(budget=budget, trials=trials, seeds=seeds))
    assert found.full_runs <= budget
    assert found.updates == round(found.full_runs * STEPS)
    assert 1 <= found.most_trials <= budget
    assert trials is None or found.most_trials <= trials
    assert found.full_runs <= found.most_trials * seeds


def test_few_schedules_on_few_seeds_cost_less_than_the_budget() -> None:
    assert price(settings(budget=10, trials=2, seeds=3)).full_runs == 6.0


def test_a_part_of_a_full_run_pays_for_no_schedule() -> None:
    found = price(settings(budget=2.5))
    assert (found.full_runs, found.most_trials) == (2.5, 2)


@pytest.mark.parametrize(("budget", "says"), [(1, "nothing is compared"), (3, "unsettled"), (10, "close to the best")])
def test_it_says_how_sure_a_recommendation_of_that_price_is(budget: float, says: str) -> None:
    assert says in price(settings(budget=budget)).expectation


@given(search=st.integers(0, 2**31 - 2), place=st.integers(0, 100), other=st.integers(0, 100))
def test_seeds_are_distinct_within_a_search_and_others_in_the_next(search: int, place: int, other: int) -> None:
    assert 0 <= run_seed(search, place=place) < 2**31
    assert (run_seed(search, place=place) == run_seed(search, place=other)) == (place == other)
    assert run_seed(search, place=place) != run_seed(search + 1, place=other)
