"""What holds for every study, at any settings and results."""

from __future__ import annotations

import math
import random
from collections import Counter
from functools import cache

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.unit.search.decision.study_states import (
    DIVERGED,
    FAILED,
    FINISHED,
    INCUMBENT,
    STOPPED,
    Outcome,
    Study,
    Workload,
    at,
    bowl,
    settings,
    study,
)
from tuner.schedules import Linear
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Finish, NewTrial, Replicate, StudyState, TrialStatus
from tuner.search.decision.estimates import Estimates
from tuner.search.decision.plan import after, plan
from tuner.search.decision.seeds import run_seed
from tuner.search.settings import SearchSettings

COUNT = 24
NUMBERS = pytest.mark.parametrize("number", range(COUNT))


def any_workload(chance: int) -> Workload:
    """A bowl with noise, of which some runs fail, diverge or are stopped."""
    rng = random.Random(chance)
    shares = [rng.choice((0.0, 0.0, 0.1, 0.5)) for _ in range(3)]
    fine = bowl(noise=rng.choice((0.0, 0.01, 0.3)), chance=chance)

    def outcome(configuration: Configuration, seed: int) -> Outcome:
        fate = random.Random(f"{chance} {configuration.label} {seed}").random()
        _, loss = fine(configuration, seed)
        for status, share in zip((FAILED, DIVERGED, STOPPED), shares, strict=True):
            if fate < share:
                return status, loss if status is STOPPED else None
            fate -= share
        return FINISHED, loss

    return outcome


def any_settings(chance: int) -> SearchSettings:
    rng = random.Random(chance)
    start = [at(3e-4, family=Linear()).schedule, INCUMBENT.schedule][: rng.choice((0, 0, 1, 2))]
    return settings(
        budget=rng.choice((1.0, 1.5, 3.0, 5.0, 8.2)),
        trials=rng.choice((None, None, 1, 3)),
        seeds=rng.choice((1, 2, 10)),
        start=start,
        seed=rng.randrange(2**31),
    )


@cache
def any_study(number: int) -> Study:
    return study(any_settings(number), workload=any_workload(number), devices=1 + number % 4, chance=number)


@NUMBERS
def test_it_costs_no_more_than_its_budget_and_has_no_more_trials_and_seeds_than_it_may(number: int) -> None:
    now = any_study(number).state
    assert now.steps_committed <= now.settings.budget_steps
    assert now.settings.trials is None or len(now.trials) <= now.settings.trials
    assert all(count <= now.settings.seeds for count in Counter(one.trial for one in now.runs).values())
    assert any_study(number).most_running <= 1 + number % 4


@NUMBERS
def test_every_trial_takes_the_seeds_of_the_search_in_their_order(number: int) -> None:
    now = any_study(number).state
    for one in now.trials:
        seeds = [view.seed for view in now.runs_of(one.number)]
        assert seeds == [run_seed(now.settings.seed, place=place) for place in range(len(seeds))]


@NUMBERS
def test_no_configuration_is_opened_twice(number: int) -> None:
    now = any_study(number).state
    assert len({one.configuration for one in now.trials}) == len(now.trials)


@pytest.mark.parametrize("number", range(0, COUNT, 4))
def test_on_one_device_none_that_diverged_failed_or_was_stopped_is_trained_again(number: int) -> None:
    now = any_study(number).state
    for one in now.trials:
        *before, _ = now.runs_of(one.number)
        assert {view.status for view in before} <= {FINISHED}


@NUMBERS
def test_it_ends_with_all_trials_closed_and_a_recommendation_where_anything_finished(number: int) -> None:
    result = any_study(number)
    finished = any(one.status is FINISHED for one in result.state.runs)
    assert isinstance(result.end, Finish) == finished
    assert all(one.status is not TrialStatus.ACTIVE for one in result.state.trials)
    if finished:
        assert Estimates(result.state).recommended in range(len(result.state.trials))


@NUMBERS
def test_its_trials_are_complete_by_their_first_run(number: int) -> None:
    now = any_study(number).state
    expected = {FINISHED: TrialStatus.COMPLETED, FAILED: TrialStatus.FAILED}
    for one in now.trials:
        first = now.runs_of(one.number)[0]
        assert one.status is expected.get(first.status, TrialStatus.PRUNED)


@NUMBERS
def test_its_reasons_are_sentences_in_ascii(number: int) -> None:
    for decision in any_study(number).decisions:
        assert decision.reason.isascii()
        assert decision.reason.isprintable()
        assert 5 < len(decision.reason) < 200
        assert decision.reason == decision.reason.strip(" .")


@NUMBERS
def test_a_choice_by_value_names_its_alternatives_the_best_first_and_to_stop_last(number: int) -> None:
    for decision in any_study(number).decisions:
        if not isinstance(decision, NewTrial | Replicate) or not decision.alternatives:
            continue
        *actions, stop = decision.alternatives
        assert (stop.action, stop.value) == ("stop", 0.0)
        assert 1 <= len(actions) <= 3
        values = [one.value for one in actions]
        assert values == sorted(values, reverse=True)
        assert all(0.0 <= value < math.inf for value in values)
        chosen = (
            f"another seed of trial {decision.trial}"
            if isinstance(decision, Replicate)
            else f"a new schedule: {decision.configuration.label}"
        )
        assert actions[0].action in (chosen, "the incumbent")
        assert all(one.action.isascii() for one in actions)


@pytest.mark.parametrize("number", range(0, COUNT, 5))
def test_the_same_results_in_the_same_order_give_the_same_study(number: int) -> None:
    again = study(any_settings(number), workload=any_workload(number), devices=1 + number % 4, chance=number)
    assert again == any_study(number)


@hypothesis_settings(max_examples=20)
@given(number=st.integers(0, COUNT - 1), length=st.integers(0, 8), capacity=st.integers(0, 3))
def test_decisions_returned_together_are_those_that_would_be_returned_one_at_a_time(
    number: int, length: int, capacity: int
) -> None:
    now = any_study(number).state
    runs = now.runs[:length]
    trials = now.trials[: len({one.trial for one in runs})]
    state = StudyState(settings=now.settings, trials=trials, runs=runs)

    decisions = plan(state, capacity=capacity)

    assert sum(isinstance(one, NewTrial | Replicate) for one in decisions) <= capacity
    for decision in decisions:
        assert plan(state, capacity=capacity)[0] == decision
        state = after(state, decision)
        capacity -= isinstance(decision, NewTrial | Replicate)
