"""Single steps of the plan, by example. The horizon is 900 updates, the rungs 100, 300 and 900."""

from __future__ import annotations

from tests.unit.search.decision.study_states import (
    COMPLETED,
    DONE,
    FAILED,
    PRUNED,
    SIX,
    confirmed,
    promoted,
    pruned,
    state,
    trial,
)
from tuner.schedules import Schedule, Wsd
from tuner.search.decision.decisions import (
    CompleteTrial,
    Confirm,
    ConfirmView,
    Control,
    Finish,
    NewTrial,
    Promote,
    Prune,
)
from tuner.search.decision.plan import plan


def test_a_new_study_opens_as_many_trials_as_devices_wait() -> None:
    decisions = plan(state(), capacity=3)

    opened = [one for one in decisions if isinstance(one, NewTrial)]
    assert len(opened) == len(decisions) == 3
    assert [one.control for one in opened] == [Control.DEFAULT, Control.CONSTANT, None]
    assert [one.schedule for one in opened] == [None] * 3  # which peak a control has is proposed too


def test_start_schedules_are_opened_first_and_unchanged() -> None:
    start = Schedule(peak_lr=0.3, family=Wsd(cooldown=0.5))

    first, second = plan(state(start=(start,)), capacity=2)

    assert first == NewTrial(number=0, cohort=0, control=Control.START, schedule=start, reason="a start schedule")
    assert isinstance(second, NewTrial)
    assert (second.control, second.schedule) == (Control.DEFAULT, None)


def test_a_free_trial_is_left_to_the_proposals() -> None:
    opened = [trial(number, running=True) for number in range(3)]

    (decision,) = plan(state(*opened), capacity=1)

    assert decision == NewTrial(
        number=3, cohort=0, control=None, schedule=None, reason="the most promising after 0 results"
    )


def test_a_cohort_is_decided_when_its_last_peer_has_its_result() -> None:
    waiting = [trial(number, loss) for number, loss in enumerate(SIX[:5])]

    assert plan(state(*waiting, trial(5, running=True)), capacity=0) == ()
    decisions = plan(state(*waiting, trial(5, 0.6)), capacity=9)

    assert pruned(decisions) == [2, 3, 4, 5]
    assert promoted(decisions) == [0, 1]
    assert decisions[0].reason == "rank 3 of 6 at 100 updates (validation loss 0.3000); the best 2 are promoted"
    assert decisions[-1].reason == "rank 2 of 6 at 100 updates (validation loss 0.2000); the best 2 are promoted"


def test_losers_are_pruned_even_when_no_device_waits() -> None:
    decisions = plan(state(*(trial(number, loss) for number, loss in enumerate(SIX))), capacity=0)

    assert pruned(decisions) == [2, 3, 4, 5]
    assert len(decisions) == 4


def test_divergence_is_a_result_and_ends_a_trial_at_once() -> None:
    waiting = [trial(number, loss) for number, loss in enumerate(SIX[:4])]

    decisions = plan(state(*waiting, trial(4, None), trial(5, running=True)), capacity=0)
    judged = plan(state(*waiting, trial(4, None, status=PRUNED), trial(5, None)), capacity=9)

    assert decisions == (Prune(trial=4, rung=0, reason="it diverged in its run of 100 updates"),)
    assert promoted(judged) == [0, 1]  # a third of six, the two that diverged included


def test_failed_trials_are_not_waited_for() -> None:
    waiting = [trial(number, loss) for number, loss in enumerate(SIX[:5])]

    decisions = plan(state(*waiting, trial(5, status=FAILED)), capacity=9)

    assert promoted(decisions) == [0, 1]


def test_the_best_of_each_measured_group_is_promoted_at_any_rank() -> None:
    constant = [trial(number, SIX[number], control=Control.CONSTANT) for number in (4, 5)]
    others = [trial(number, SIX[number]) for number in range(4)]

    decisions = plan(state(*others, *constant), capacity=9)

    assert promoted(decisions) == [0, 1, 4]
    assert decisions[-1].reason == (
        "rank 5 of 6 at 100 updates (validation loss 0.5000); "
        "the best constant control is promoted, to measure the recommendation against"
    )


def test_a_later_cohort_is_compared_with_all_results_and_may_be_pruned_entirely() -> None:
    early = [trial(0, 0.1, 0.1, 0.1, status=COMPLETED), trial(1, 0.2, 0.2, status=PRUNED)]
    late = [trial(2, 0.5, cohort=1), trial(3, 0.6, cohort=1)]

    decisions = plan(state(*early, *late, trials=4, cohort=2, keep=0.5), capacity=0)

    assert pruned(decisions) == [2, 3]
    assert decisions[0].reason == "rank 3 of 4 at 100 updates (validation loss 0.5000); the best 2 are promoted"


def test_a_better_cohort_gets_no_more_than_the_quota_left() -> None:
    early = [trial(0, 0.5, 0.5, status=PRUNED), trial(1, 0.6, status=PRUNED)]
    late = [trial(2, 0.1, cohort=1), trial(3, 0.2, cohort=1)]

    decisions = plan(state(*early, *late, trials=4, cohort=2, keep=0.5), capacity=9)

    assert promoted(decisions) == [2]
    assert (
        decisions[0].reason
        == "rank 2 of 4 at 100 updates (validation loss 0.2000); the best 2 are promoted, and as many were"
    )


def test_free_devices_start_the_next_cohort() -> None:
    cohort = [trial(number, 0.1) for number in range(5)]

    (decision,) = plan(state(*cohort, trial(5, running=True), trials=12), capacity=1)

    assert isinstance(decision, NewTrial)
    assert (decision.number, decision.cohort) == (6, 1)


def test_promotions_go_before_new_trials() -> None:
    decisions = plan(state(*(trial(number, loss) for number, loss in enumerate(SIX)), trials=12), capacity=3)

    assert [type(one) for one in decisions[-3:]] == [Promote, Promote, NewTrial]


def test_a_trial_sure_to_be_promoted_does_not_wait_for_its_peers() -> None:
    waiting = [trial(number, loss) for number, loss in enumerate(SIX[:5])]
    pending = trial(5, running=True)

    decisions = plan(state(*waiting, pending), capacity=9)

    assert promoted(decisions) == [0]  # the second of five could still be beaten by the sixth
    assert (
        decisions[0].reason
        == "rank 1 of 5 at 100 updates (validation loss 0.1000); sure to be promoted (results to come: 1)"
    )


def test_a_trial_is_not_sure_while_a_pending_peer_could_use_up_the_quota() -> None:
    early = [trial(0, 0.5, 0.5, status=PRUNED), trial(1, 0.6, status=PRUNED)]
    late = [trial(2, 0.1, cohort=1), trial(3, running=True, cohort=1)]

    assert plan(state(*early, *late, trials=4, cohort=2, keep=0.5), capacity=9) == ()


def test_a_trial_is_not_sure_behind_a_better_one_that_was_pruned() -> None:
    early = [trial(0, 0.1, status=PRUNED), trial(1, 0.9, status=PRUNED)]
    late = [trial(2, 0.3, cohort=1), trial(3, running=True, cohort=1)]

    assert plan(state(*early, *late, trials=4, cohort=2, keep=0.5), capacity=9) == ()


def test_a_measured_control_is_sure_once_no_rival_of_its_group_is_pending() -> None:
    others = [trial(number, SIX[number]) for number in range(4)]
    constant = trial(4, 0.9, control=Control.CONSTANT)

    alone = plan(state(*others, constant, trial(5, running=True)), capacity=9)
    with_rival = plan(state(*others, constant, trial(5, running=True, control=Control.CONSTANT)), capacity=9)

    assert promoted(alone) == [0, 4]
    assert promoted(with_rival) == [0]


def test_a_promoted_control_does_not_use_the_quota() -> None:
    early = [
        trial(0, 0.8, 0.8, 0.8, status=COMPLETED, control=Control.CONSTANT),
        trial(1, 0.9, status=PRUNED),
    ]
    late = [trial(2, 0.1, cohort=1), trial(3, 0.2, cohort=1)]

    assert promoted(plan(state(*early, *late, trials=4, cohort=2, keep=0.5), capacity=9)) == [2, 3]


def test_a_measured_control_that_failed_leaves_its_part_to_the_next_best() -> None:
    failed = trial(0, 0.1, status=FAILED, control=Control.CONSTANT)
    others = [trial(number, SIX[number]) for number in (1, 2, 3, 4)]

    decisions = plan(state(failed, *others, trial(5, 0.9, control=Control.CONSTANT)), capacity=9)

    assert 5 in promoted(decisions)


def test_the_oldest_cohort_goes_first() -> None:
    early = [trial(0, 0.3), trial(1, 0.4)]
    late = [trial(2, 0.1, cohort=1), trial(3, 0.2, cohort=1)]

    decisions = plan(state(*early, *late, trials=4, cohort=2, keep=1.0), capacity=3)

    assert promoted(decisions) == [0, 1, 2]


def test_the_top_rung_completes_a_trial() -> None:
    decisions = plan(state(trial(0, 0.3, 0.2, 0.1), trial(1, running=True), trials=2), capacity=0)

    assert decisions == (CompleteTrial(trial=0, reason="trained to the full horizon (validation loss 0.1000)"),)


def test_every_candidate_is_confirmed_on_one_seed_before_any_on_the_next() -> None:
    decisions = plan(state(*DONE, trials=4, finalists=1, confirm_seeds=2, seed=7), capacity=9)

    assert [(one.trial, one.seed) for one in decisions if isinstance(one, Confirm)] == [
        (2, 8),
        (1, 8),
        (0, 8),
        (2, 9),
        (1, 9),
        (0, 9),
    ]
    assert decisions[0].reason == "number 1 at the full horizon (validation loss 0.1000): fresh seed 1 of 2"
    assert decisions[1].reason == "the best constant control, to measure the recommendation against: fresh seed 1 of 2"


def test_the_study_finishes_when_the_last_confirmation_is_in() -> None:
    runs = [confirmed(number, seed) for seed in (1, 2) for number in (0, 1, 2)]
    search = {"trials": 4, "finalists": 1, "confirm_seeds": 2}

    assert plan(state(*DONE, confirmations=[*runs[:5], confirmed(2, 2, finished=False)], **search), capacity=9) == ()
    assert plan(state(*DONE, confirmations=runs, **search), capacity=0) == (
        Finish(reason="all 4 trials are decided and 3 of them confirmed on 2 fresh seeds"),
    )


def test_confirmation_runs_without_a_loss_are_reported() -> None:
    without_loss = [ConfirmView(trial=2, seed=seed, finished=True, loss=None) for seed in (1, 2)]
    runs = [*without_loss, *(confirmed(number, seed) for seed in (1, 2) for number in (0, 1))]
    search = {"trials": 4, "finalists": 1, "confirm_seeds": 2}

    assert plan(state(*DONE, confirmations=runs, **search), capacity=0) == (
        Finish(
            reason="all 4 trials are decided, and 4 of 6 confirmation runs (3 trials on 2 fresh seeds) "
            "ended with a loss: the others failed or diverged"
        ),
    )
    cut_short = state(*DONE, confirmations=runs[:4], committed=10_000, max_updates=10_899, **search)
    assert plan(cut_short, capacity=0) == (
        Finish(
            reason="the limit of 10,899 updates is reached: 4 of 4 trials were tried, and 4 of 6 confirmation runs "
            "made, of which 2 failed or diverged"
        ),
    )
