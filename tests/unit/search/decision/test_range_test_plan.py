"""The plan of a study that begins with an LR range test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.search.decision.study_states import SPACE, STEPS, settings
from tuner.search.decision.decisions import (
    RANGE_TEST_TRIAL,
    CompleteTrial,
    Finish,
    GiveUp,
    NewTrial,
    Prune,
    RangeTestView,
    Replicate,
    Role,
    RunStatus,
    Stop,
    StudyState,
    TrialStatus,
)
from tuner.search.decision.plan import after, may_request, plan
from tuner.search.decision.range_test import bound_text, bounded_settings
from tuner.search.range_test.result import RangeReadings, RangeTest
from tuner.search.range_test.settings import RangeTestSettings

TEST = RangeTestSettings(low=1e-5, high=1.0, steps=100, seeds=2)


def result(last_stable: float | None) -> RangeTest:
    readings = RangeReadings(steepest=1e-3, before_rise=2e-3, last_stable=last_stable)
    return RangeTest(low=1e-5, high=1.0, steps=100, seeds=2, diverged=0, points=(), readings=readings, summary="So.")


def begun(*, alone: bool = False) -> StudyState:
    test = TEST.model_copy(update={"alone": alone})
    return StudyState(settings=settings(range_test=test))


def with_all_runs(state: StudyState) -> StudyState:
    while (decisions := plan(state, capacity=1)) and isinstance(decisions[0], NewTrial | Replicate):
        state = after(state, decisions[0])
    return state


def ended(state: StudyState, status: RunStatus, *, found: RangeTest | None) -> StudyState:
    test = state.range_test
    runs = tuple(replace(run, status=status) for run in test.runs)
    return replace(state, range_test=replace(test, runs=runs, result=found))


def test_its_runs_come_first_on_different_seeds_and_are_no_trials_of_the_search():
    state = begun()
    first: Any = plan(state, capacity=1)[0]
    assert (first.number, first.role, first.configuration.schedule) == (RANGE_TEST_TRIAL, Role.RANGE_TEST, TEST.sweep)
    state = after(state, first)
    second: Any = plan(state, capacity=1)[0]
    assert (second.trial, second.seed) == (RANGE_TEST_TRIAL, first.seed + 1)
    state = after(state, second)
    assert state.trials == () == state.runs
    assert state.steps_committed == 200


def test_the_search_waits_for_it():
    state = with_all_runs(begun())
    assert plan(state, capacity=1) == ()
    state = ended(state, RunStatus.FINISHED, found=result(0.01))
    close, *_, last = plan(state, capacity=1)
    first: Any = last
    assert isinstance(close, CompleteTrial)
    assert close.trial == RANGE_TEST_TRIAL
    assert (first.number, first.role) == (0, None)


def test_no_free_device_begins_no_run():
    assert plan(begun(), capacity=0) == ()
    assert may_request(begun())


def test_alone_it_ends_the_study_with_its_reading():
    state = ended(with_all_runs(begun(alone=True)), RunStatus.DIVERGED, found=result(0.01))
    close, finish = plan(state, capacity=1)
    assert isinstance(close, CompleteTrial)
    assert finish == Finish(reason="So.")
    assert not may_request(after(state, close))


def test_where_its_runs_fail_the_search_goes_on_and_a_test_alone_gives_up():
    for alone, last in ((False, NewTrial), (True, GiveUp)):
        state = after(begun(alone=alone), plan(begun(alone=alone), capacity=1)[0])
        state = ended(state, RunStatus.FAILED, found=None)
        close, end = plan(state, capacity=1)
        assert isinstance(close, Prune)
        assert isinstance(end, last)


def test_a_limit_ends_it_at_once():
    state = replace(with_all_runs(begun(alone=True)), stop=Stop.now("its device time is spent"))
    assert isinstance(plan(state, capacity=1)[-1], GiveUp)


@pytest.mark.parametrize(
    ("last_stable", "high", "says"),
    [
        (0.01, 0.01, "unstable: peaks up to 0.01"),
        (None, 0.03, "no upper bound"),
        (0.5, 0.03, "no rate of the range unstable"),
        (1.1e-4, 0.03, "hardly a range"),
    ],
)
def test_the_range_is_bounded_from_above_and_never_widened(last_stable, high, says):
    before = settings(range_test=TEST)
    found = result(last_stable)
    peaks = bounded_settings(before, test=found).searched_space.peak_lr
    assert (peaks.low, peaks.high) == (SPACE.peak_lr.low, high)
    assert says in bound_text(before, test=found)


def test_without_a_result_the_range_stays_and_it_says_so():
    before = settings(range_test=TEST)
    assert bounded_settings(before, test=None) == before
    assert "as its runs failed" in bound_text(before, test=None)


def test_its_updates_count_against_the_budget():
    test = RangeTestView(status=TrialStatus.COMPLETED, runs=with_all_runs(begun()).range_test.runs)
    state = StudyState(settings=settings(range_test=TEST, budget=1.2), range_test=test)
    assert not may_request(state)  # 200 updates of the test and 900 of a run are more than 1.2 times 900
    assert state.steps_committed + STEPS > state.settings.budget_steps
