"""When a search has seen enough."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.unit.search.decision.study_states import (
    DIVERGED,
    FAILED,
    RUNNING,
    STOPPED,
    at,
    bowl,
    run,
    settings,
    study,
    trial,
)
from tuner.metric import Metric
from tuner.search.decision.decisions import Finish, NewTrial, RunView, StudyState, TrialStatus
from tuner.search.decision.stopping import search_over

STATUS = {RUNNING: TrialStatus.ACTIVE, FAILED: TrialStatus.FAILED}


def state(*runs: RunView) -> StudyState:
    """A study of trials with these first runs."""
    trials = tuple(
        trial(
            one.trial,
            at(1e-4 * (one.trial + 1)),
            status=STATUS.get(
                one.status, TrialStatus.PRUNED if one.status in (DIVERGED, STOPPED) else TrialStatus.COMPLETED
            ),
        )
        for one in runs
    )
    return StudyState(settings=settings(), trials=trials, runs=runs)


def over(*runs: RunView, target_loss: float | None = None, patience: int | None = None) -> str | None:
    stop = search_over(state(*runs), target_loss=target_loss, patience=patience)
    assert stop is None or not stop.at_once
    return None if stop is None else stop.reason


class TestTargetLoss:
    def test_a_trial_that_reaches_it_ends_the_search(self) -> None:
        assert over(run(0, 0.5), run(1, 0.4), target_loss=0.4) == "the target 0.4 is reached: trial 1 has 0.4"

    def test_neither_a_forecast_nor_a_run_that_did_not_end_reaches_it(self) -> None:
        forecast = run(1, 0.1, status=STOPPED, std=0.1)
        assert over(run(0, 0.5), forecast, run(2, status=RUNNING), run(3, status=DIVERGED), target_loss=0.4) is None

    def test_a_further_seed_does_not_reach_it(self) -> None:
        now = state(run(0, 0.5))
        lucky = replace(now, runs=(*now.runs, run(0, 0.1, place=1)))
        assert search_over(lucky, target_loss=0.4, patience=None) is None

    def test_it_is_told_in_the_metric_of_the_workload(self) -> None:
        accuracy = replace(state(run(0, -0.93)), metric=Metric(name="accuracy", direction="maximize"))
        stop = search_over(accuracy, target_loss=-0.9, patience=None)
        assert stop is not None
        assert stop.reason == "the target 0.9 is reached: trial 0 has 0.93"


class TestPatience:
    def test_so_many_trials_without_a_new_best_end_the_search(self) -> None:
        runs = (
            run(0, 0.5),
            run(1, 0.4),
            run(2, 0.4),
            run(3, 0.1, status=STOPPED, std=0.1),
            run(4, status=FAILED),
        )
        assert over(*runs, patience=3) == (
            "3 trials in a row did not improve on the result at the full horizon of trial 1"
        )
        assert over(*runs, patience=4) is None

    def test_before_the_first_loss_nothing_counts(self) -> None:
        assert over(*(run(number, status=DIVERGED) for number in range(9)), patience=3) is None

    def test_trials_after_one_that_is_still_running_do_not_count_yet(self) -> None:
        later = [run(number, 0.9) for number in range(2, 9)]
        assert over(run(0, 0.5), run(1, status=RUNNING), *later, patience=3) is None

    def test_a_new_best_after_enough_trials_without_one_does_not_reopen_the_search(self) -> None:
        assert over(run(0, 0.5), *(run(number, 0.9) for number in range(1, 4)), run(4, 0.1), patience=3) is not None


@given(
    losses=st.lists(st.none() | st.floats(0.0, 1.0), max_size=12),
    patience=st.integers(1, 4),
    target=st.floats(0.0, 1.0),
)
def test_a_search_that_is_over_stays_over(losses: list[float | None], patience: int, target: float) -> None:
    runs = [run(n, loss, status=DIVERGED) if loss is None else run(n, loss) for n, loss in enumerate(losses)]
    reasons = [over(*runs[:length], target_loss=target, patience=patience) for length in range(len(runs) + 1)]
    ended = [reason is not None for reason in reasons]
    assert ended == sorted(ended)


@hypothesis_settings(max_examples=15)
@given(chance=st.integers(0, 2**32), devices=st.integers(1, 4), patience=st.integers(1, 3))
def test_once_it_is_over_no_trial_is_opened_and_the_study_ends_with_the_reason(
    chance: int, devices: int, patience: int
) -> None:
    result = study(
        settings(budget=6),
        workload=bowl(noise=0.1, chance=chance),
        devices=devices,
        chance=chance,
        stop=lambda now: search_over(now, target_loss=None, patience=patience),
    )
    stop = result.state.stop
    assert isinstance(result.end, Finish)
    assert stop is None or result.end.reason.startswith(f"{stop.reason}; ")
    opened = sum(isinstance(one, NewTrial) for one in result.decisions)
    assert opened == len(result.state.trials) <= 6
