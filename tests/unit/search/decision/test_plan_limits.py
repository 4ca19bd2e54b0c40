"""The plan at the limits of a study: what is left out, when it ends early, and what it reports."""

from __future__ import annotations

from typing import Any

from tests.unit.search.decision.study_states import (
    COMPLETED,
    DONE,
    FAILED,
    PRUNED,
    confirmed,
    promoted,
    state,
    trial,
)
from tuner.search.decision.decisions import (
    Control,
    Decision,
    Finish,
    GiveUp,
    NewTrial,
    Promote,
    Prune,
)
from tuner.search.decision.plan import plan


def test_what_the_limit_does_not_pay_for_is_left_out_and_reported() -> None:
    runs = [confirmed(number, 1) for number in (0, 1, 2)]

    (decision,) = plan(
        state(*DONE, confirmations=runs, committed=10_000, trials=4, finalists=1, confirm_seeds=2, max_updates=10_899),
        capacity=9,
    )

    assert decision == Finish(
        reason="the limit of 10,899 updates is reached: 4 of 4 trials were tried, and 3 of 6 confirmation runs made"
    )


def test_new_trials_stop_where_the_reserve_begins() -> None:
    opened = [
        trial(0, running=True, control=Control.DEFAULT),
        trial(1, running=True, control=Control.CONSTANT),
        trial(2, running=True),
    ]
    ways, confirmations = 3 * (300 + 900), 3 * 900  # to the top for three, and a confirmation for each
    due = 300 + 900  # of four trials two are promoted; the cost of one is in the reserve

    def opens(limit: int) -> bool:
        now = state(*opened, committed=300, keep=0.5, max_updates=limit)
        return any(isinstance(one, NewTrial) for one in plan(now, capacity=1))

    assert not opens(300 + ways + confirmations + due + 99)
    assert opens(300 + ways + confirmations + due + 100)


def test_what_the_limit_leaves_when_it_opens_no_trial_promotes_the_next_best() -> None:
    waiting = [
        trial(0, 0.4, 0.4, 0.4, status=COMPLETED, control=Control.DEFAULT),
        trial(1, 0.5, 0.5, 0.5, status=COMPLETED, control=Control.CONSTANT),
        trial(2, 0.1, 0.1, 0.1, status=COMPLETED),
        trial(3, 0.6),
        trial(4, 0.7, status=PRUNED),
        trial(5, 0.8, status=PRUNED),
    ]

    def decided(left: int) -> Decision:
        search: dict[str, Any] = {"trials": 7, "keep": 0.5, "max_updates": 5_000 + 3 * 900 + left}
        return plan(state(*waiting, committed=5_000, **search), capacity=1)[0]

    assert decided(300) == Promote(
        trial=3,
        rung=1,
        reason="rank 4 of 6 at 100 updates (validation loss 0.6000); no new trial can be paid for, and what is left of "
        "the updates pays for this one",
    )
    assert isinstance(decided(299), Prune)


def test_a_promotion_that_would_touch_the_reserve_ends_the_trial_and_says_so() -> None:
    waiting = [
        trial(0, 0.4, control=Control.DEFAULT),
        trial(1, 0.5, control=Control.CONSTANT),
        trial(2, 0.1),
        trial(3, 0.2),
    ]
    left = 3 * (300 + 900) + 3 * 900

    decisions = plan(state(*waiting, committed=400, trials=4, keep=0.5, max_updates=400 + left), capacity=9)

    assert promoted(decisions) == [2, 0, 1]
    assert decisions[0] == Prune(
        trial=3,
        rung=0,
        reason="rank 2 of 4 at 100 updates (validation loss 0.2000); the rest of the 6,700 updates is reserved "
        "for the best",
    )


def test_three_failures_without_a_result_end_the_study() -> None:
    failed = [trial(number, status=FAILED) for number in range(3)]

    assert plan(state(*failed, trial(3, running=True)), capacity=9) == ()
    (decision,) = plan(state(*failed), capacity=9)

    assert isinstance(decision, GiveUp)
    assert decision.reason == (
        "no trial reached the full horizon: of 3 trials, 3 failed and 0 diverged; the workload does not run"
    )


def test_failures_beside_a_result_do_not_end_the_study() -> None:
    failed = [trial(number, status=FAILED) for number in range(3)]

    (decision,) = plan(state(*failed, trial(3, 0.1)), capacity=1)

    assert isinstance(decision, NewTrial)


def test_when_all_diverge_the_range_of_the_peak_is_named() -> None:
    (decision,) = plan(state(*(trial(number, None, status=PRUNED) for number in range(6))), capacity=9)

    assert isinstance(decision, GiveUp)
    assert decision.reason == (
        "no trial reached the full horizon: of 6 trials, 0 failed and 6 diverged; "
        "lower the range of peak_lr (0.001 to 1)"
    )


def test_a_limit_too_small_for_any_recommendation_is_reported_at_once() -> None:
    (decision,) = plan(state(max_updates=6_599), capacity=9)

    assert decision == GiveUp(
        reason="max_updates (6,599) does not pay for a recommendation: raise it, or lower total_steps (900)"
    )
