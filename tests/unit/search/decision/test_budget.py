"""What a job may cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from tests.unit.search.decision.study_states import STEPS, at, settings, state
from tuner.search.decision.budget import price
from tuner.search.decision.choice import choose
from tuner.search.decision.decisions import NewTrial, Role
from tuner.search.decision.seeds import run_seed
from tuner.search.decision.values import CERTAINTY, certainty


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


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (1, "nothing is compared"),
        (1.9, "nothing is compared"),
        (2, "a guess"),
        (4.9, "a guess"),
        (5, "clear gains"),
        (8.9, "clear gains"),
        (9, "97.7 %"),
        (30, "97.7 %"),
    ],
)
def test_it_says_how_sure_a_recommendation_of_that_price_is(budget: float, says: str) -> None:
    assert says in price(settings(budget=budget)).expectation.lower()


@given(budget=st.floats(5.0, 100.0))
def test_the_probability_that_it_names_is_the_one_that_the_recommendation_takes(budget: float) -> None:
    named = f"{100.0 * ndtr(certainty(budget)):.1f} %"
    assert (named in price(settings(budget=budget)).expectation) == (certainty(budget) == CERTAINTY)


@pytest.mark.parametrize("budget", [4.0, 5.0, 10.0])
@pytest.mark.parametrize("trials", [2, 3])
def test_the_incumbent_is_trained_where_it_says_so(budget: float, trials: int) -> None:
    search = settings(budget=budget, trials=trials)
    choice = choose(state((at(3e-3), [1.0]), (at(1e-3), [1.1]), budget=budget, trials=trials))
    trained = isinstance(choice, NewTrial) and choice.role is Role.INCUMBENT and not choice.alternatives
    assert trained == (not price(search).expectation.startswith("A guess"))


def test_the_price_of_many_seeds_of_one_schedule_says_that_nothing_is_compared() -> None:
    found = price(settings(budget=10, trials=1))
    assert (found.full_runs, found.expectation) == (10.0, "One schedule is trained; nothing is compared.")


def test_start_schedules_that_take_all_trials_leave_none_for_the_incumbent() -> None:
    start = [at(peak).schedule for peak in (1e-3, 3e-3, 5e-3)]
    assert price(settings(budget=10, trials=3, start=start)).expectation.startswith("A guess")
    assert "97.7 %" in price(settings(budget=10, trials=4, start=start)).expectation


@given(search=st.integers(0, 2**31 - 2), place=st.integers(0, 100), other=st.integers(0, 100))
def test_seeds_are_distinct_within_a_search_and_others_in_the_next(search: int, place: int, other: int) -> None:
    assert 0 <= run_seed(search, place=place) < 2**31
    assert (run_seed(search, place=place) == run_seed(search, place=other)) == (place == other)
    assert run_seed(search, place=place) != run_seed(search + 1, place=other)
