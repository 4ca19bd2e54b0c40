"""Single steps of the plan, by example. The horizon is 900 updates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.search.decision.study_states import (
    DIVERGED,
    FAILED,
    INCUMBENT,
    RUNNING,
    STEPS,
    STOPPED,
    at,
    bowl,
    opened,
    run,
    seed_at,
    settings,
    state,
    study,
    trial,
)
from tuner.metric import Metric
from tuner.schedules import Linear, Wsd
from tuner.search.decision.decisions import (
    CompleteTrial,
    Finish,
    GiveUp,
    NewTrial,
    Prune,
    Replicate,
    Role,
    RunView,
    Stop,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.decision.plan import after, leading_ends, may_request, plan

ACTIVE = TrialStatus.ACTIVE
THEORY = "the best guess of theory"


def opened_by(*runs: RunView, **changes: object) -> StudyState:
    """A study of active trials, each with the first run of these."""
    trials = tuple(trial(number, at(1e-3 * (number + 1)), status=ACTIVE) for number in range(len(runs)))
    return StudyState(settings=settings(**changes), trials=trials, runs=runs)


class TestOpening:
    def test_a_new_study_opens_as_many_different_trials_as_devices_wait(self) -> None:
        decisions = plan(state(), capacity=3)

        trials = opened(decisions)
        assert len(trials) == len(decisions) == 3
        assert [one.number for one in trials] == [0, 1, 2]
        assert {one.reason for one in trials} == {THEORY}
        assert len({one.configuration for one in trials}) == 3
        assert {one.seed for one in trials} == {seed_at(0)}

    def test_start_schedules_are_opened_first_and_unchanged(self) -> None:
        start = tuple(at(peak, family=Wsd(cooldown=0.5)).schedule for peak in (0.3, 0.1))

        one, two, three = opened(plan(state(start=start), capacity=3))

        assert [one.configuration.schedule, two.configuration.schedule] == list(start)
        assert [one.role, two.role, three.role] == [Role.START, Role.START, None]
        assert [one.reason, two.reason, three.reason] == ["a start schedule", "a start schedule", THEORY]

    def test_the_incumbent_among_the_start_schedules_is_known_as_such(self) -> None:
        (one,) = opened(plan(state(start=(INCUMBENT.schedule,)), capacity=1))
        assert one.role is Role.INCUMBENT

    def test_a_budget_of_one_run_trains_the_best_guess_of_theory(self) -> None:
        result = study(settings(budget=1), workload=bowl(), devices=4)

        opening, complete, end = result.decisions
        assert isinstance(opening, NewTrial)
        assert opening.reason == THEORY
        assert isinstance(complete, CompleteTrial)
        assert end == Finish(reason="the budget of 1 full run is spent: 1 of 1 full run was used")

    def test_nothing_is_requested_without_an_idle_device(self) -> None:
        assert plan(state(), capacity=0) == ()


class TestEnds:
    def test_a_trial_is_complete_once_its_first_run_has_finished(self) -> None:
        assert plan(opened_by(run(0, 0.1234)), capacity=0) == (
            CompleteTrial(trial=0, reason="trained to the full horizon (validation loss 0.1234)"),
        )

    def test_a_trial_that_diverged_is_pruned(self) -> None:
        assert plan(opened_by(run(0, status=DIVERGED, steps=30)), capacity=0) == (Prune(trial=0, reason="it diverged"),)

    def test_a_trial_that_was_stopped_is_pruned_with_its_forecast(self) -> None:
        stopped = run(0, 0.5, status=STOPPED, steps=300, std=0.1)
        assert plan(opened_by(stopped, total_steps=9_000), capacity=0) == (
            Prune(
                trial=0,
                reason="stopped after 300 updates: its forecast (validation loss 0.5000) left it almost no chance",
            ),
        )

    def test_a_trial_whose_first_run_has_not_ended_stays(self) -> None:
        assert plan(opened_by(run(0, status=RUNNING)), capacity=0) == ()

    def test_a_second_seed_that_diverged_or_was_stopped_leaves_its_trial_complete(self) -> None:
        study = state((INCUMBENT, [0.1]))
        more = (run(0, place=1, status=DIVERGED), run(0, 0.3, place=2, status=STOPPED, std=0.1))
        assert leading_ends(plan(replace(study, runs=(*study.runs, *more)), capacity=0)) == ()

    def test_results_are_told_in_the_metric_of_the_workload(self) -> None:
        accuracy = Metric(name="accuracy", direction="maximize", unit="%")
        study = replace(opened_by(run(0, -93.125), run(1, -12.5, status=STOPPED)), metric=accuracy)
        complete, prune = plan(study, capacity=0)
        assert complete.reason == "trained to the full horizon (accuracy 93.12 %)"
        assert "(accuracy 12.50 %)" in prune.reason

    def test_the_ends_of_trials_lead(self) -> None:
        decisions = plan(opened_by(run(0, 0.2), run(1, status=DIVERGED), run(2, status=RUNNING)), capacity=2)
        ends = leading_ends(decisions)
        assert [type(one) for one in ends] == [CompleteTrial, Prune]
        assert len(decisions) == 4


class TestBudget:
    def test_another_run_is_requested_only_where_the_budget_pays_for_all_of_it(self) -> None:
        study = state((INCUMBENT, [0.1]), budget=2.5)
        assert may_request(study)
        assert not may_request(replace(study, runs=(*study.runs, run(0, status=RUNNING, place=1))))

    def test_what_stopped_and_diverged_runs_did_not_train_is_left_for_others(self) -> None:
        short = (run(1, 0.5, status=STOPPED, steps=100), run(2, status=DIVERGED, steps=300))
        study = state((INCUMBENT, [0.1]), (at(1e-2), []), (at(3e-2), []), budget=2.5)
        study = replace(study, runs=(*study.runs, *short))
        assert study.steps_committed == STEPS + 400
        assert may_request(study)

    def test_no_run_is_requested_beyond_it_whatever_the_devices(self) -> None:
        assert len(opened(plan(state(budget=2), capacity=9))) == 2

    def test_a_spent_budget_waits_for_the_runs_that_it_paid_for(self) -> None:
        waiting = opened_by(run(0, status=RUNNING), budget=1)
        assert plan(waiting, capacity=3) == ()


class TestLimits:
    def test_with_all_trials_open_only_further_seeds_follow(self) -> None:
        result = study(settings(budget=8, trials=2), workload=bowl(noise=0.3))
        assert len(result.state.trials) == 2
        assert any(isinstance(one, Replicate) for one in result.decisions)

    def test_with_one_seed_each_only_trials_follow(self) -> None:
        result = study(settings(budget=5, seeds=1), workload=bowl(noise=0.3))
        assert len(result.state.trials) == len(result.state.runs) == 5

    def test_where_neither_is_left_the_study_ends_before_its_budget(self) -> None:
        result = study(settings(budget=8, trials=2, seeds=1), workload=bowl())
        assert result.end.reason == "there is nothing more to try: 2 of 8 full runs were used"


class TestStop:
    def test_at_once_it_does_not_wait_for_running_runs(self) -> None:
        study = replace(opened_by(run(0, 0.1), run(1, status=RUNNING)), stop=Stop.now("the time is up"))
        complete, end = plan(study, capacity=5)
        assert isinstance(complete, CompleteTrial)
        assert end == Finish(reason="the time is up: 2 of 10 full runs were used")

    @pytest.mark.parametrize("runs", [(), (run(0, status=RUNNING),)], ids=["no run", "a running one"])
    def test_at_once_without_a_result_it_gives_up_and_says_why(self, runs: tuple[RunView, ...]) -> None:
        (end,) = plan(replace(opened_by(*runs), stop=Stop.now("the time is up")), capacity=1)
        assert end == GiveUp(
            reason="the time is up, and no trial had reached the full horizon: raise the limit and try the job again"
        )

    def test_when_the_search_is_over_known_schedules_get_more_seeds_and_no_new_ones_come(self) -> None:
        def over(state: StudyState) -> Stop | None:
            return Stop.search_over("enough") if len(state.trials) >= 3 else None

        result = study(settings(budget=9), workload=bowl(noise=0.2), stop=over)

        assert len(result.state.trials) == 3
        assert any(isinstance(one, Replicate) for one in result.decisions)
        assert isinstance(result.end, Finish)
        assert result.end.reason.startswith("enough; ")


class TestHopeless:
    def failed(self, number: int) -> TrialView:
        return trial(number, at(1e-3 * (number + 1)), status=TrialStatus.FAILED)

    def test_a_workload_that_always_fails_is_given_up_after_three_trials(self) -> None:
        study = opened_by(*(run(number, status=FAILED) for number in range(3)))
        (end,) = plan(replace(study, trials=tuple(self.failed(number) for number in range(3))), capacity=1)
        assert end == GiveUp(
            reason="no trial reached the full horizon: of 3 trials, 3 failed and 0 diverged; the workload does not run"
        )

    def test_one_that_always_diverges_is_given_up_with_a_hint_at_the_range(self) -> None:
        runs = [run(number, status=DIVERGED, steps=900 - 60 * number) for number in range(12)]
        trials = tuple(replace(self.failed(number), status=TrialStatus.PRUNED) for number in range(12))
        (end,) = plan(replace(opened_by(*runs), trials=trials), capacity=1)
        assert isinstance(end, GiveUp)
        assert "of 12 trials, 0 failed and 12 diverged; lower the range of peak_lr (" in end.reason

    def test_one_that_diverges_at_the_same_update_at_any_peak_is_told_to_look_at_its_data_first(self) -> None:
        result = study(settings(budget=100), workload=lambda *_: (DIVERGED, None))
        assert isinstance(result.end, GiveUp)
        assert len(result.state.runs) == 12
        assert "12 diverged; all after 900 updates at any peak: look for NaN in the data, else " in result.end.reason
        assert result.end.reason.partition(", else ")[2].startswith("lower the range of peak_lr (")

    def test_after_one_loss_nothing_is_hopeless(self) -> None:
        study = opened_by(run(0, 0.1), *(run(number, status=DIVERGED, steps=1) for number in range(1, 14)))
        assert may_request(study)


class TestAfter:
    def test_a_new_trial_is_active_and_its_run_committed(self) -> None:
        (decision,) = plan(state(), capacity=1)
        now = after(state(), decision)
        assert [one.status for one in now.trials] == [ACTIVE]
        assert [(one.trial, one.seed, one.status, one.steps) for one in now.runs] == [(0, seed_at(0), RUNNING, STEPS)]

    def test_another_seed_adds_a_run_and_no_trial(self) -> None:
        now = after(state((INCUMBENT, [0.1])), Replicate(trial=0, seed=seed_at(1), reason=""))
        assert len(now.trials) == 1
        assert [one.seed for one in now.runs] == [seed_at(0), seed_at(1)]

    def test_the_end_of_a_study_changes_nothing(self) -> None:
        study = state((INCUMBENT, [0.1]))
        assert after(study, Finish(reason="")) == study


def test_a_pool_restricts_what_is_trained_also_where_the_incumbent_is_not_in_it() -> None:
    pool = [at(peak, family=Linear()) for peak in (5e-4, 1e-3, 3e-3, 1e-2)]
    result = study(settings(budget=20, seeds=1), workload=bowl(), pool=pool)
    assert {one.configuration for one in result.state.trials} == set(pool)
    assert result.end.reason == "there is nothing more to try: 4 of 20 full runs were used"
