"""Which run is worth most: a new schedule, another seed of a known one, or none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.unit.search.decision.study_states import (
    DIVERGED,
    FAILED,
    INCUMBENT,
    RUNNING,
    STOPPED,
    at,
    bowl,
    run,
    seed_at,
    settings,
    state,
    study,
)
from tuner.schedules import Linear, Wsd
from tuner.search.configuration import Configuration
from tuner.search.decision.choice import Spent, choose
from tuner.search.decision.decisions import NewTrial, Replicate, Role, RunStatus, Stop, StudyState
from tuner.search.decision.estimates import Estimates
from tuner.search.space import Choice, FamilySpace, FloatRange, SearchSpace

NEAR = at(2.2e-3, family=Linear())
FAR = at(2e-4)
SINGLE = SearchSpace(
    peak_lr=FloatRange(low=2e-3, high=2e-3), warmup=(0.0,), floor=(0.0,), families=(FamilySpace(name="linear"),)
)


def over(study: StudyState) -> StudyState:
    """The same, without new trials."""
    return replace(study, stop=Stop.search_over("enough"))


class TestTheory:
    def test_until_there_are_two_losses_theory_chooses(self) -> None:
        for rows in ((), ((NEAR, [1.0]),)):
            choice = choose(state(*rows))
            assert isinstance(choice, NewTrial)
            assert (choice.reason, choice.alternatives) == ("the best guess of theory", ())

    def test_from_two_losses_on_the_value_chooses(self) -> None:
        choice = choose(state((NEAR, [1.0]), (FAR, [1.3]), budget=4))
        assert isinstance(choice, NewTrial)
        assert choice.alternatives

    def test_where_no_trial_may_be_added_and_none_has_a_loss_nothing_is_left(self) -> None:
        diverged = replace(state((NEAR, []), trials=1), runs=(run(0, status=DIVERGED),))
        assert choose(diverged) == Spent(reason="no schedule is left to try, and none has a result")

    def test_an_exhausted_space_is_not_tried_again(self) -> None:
        only = settings(space=SINGLE, budget=8, incumbent=at(2e-3, family=Linear(), warmup=0.0).schedule, seeds=1)
        result = study(only, workload=bowl())
        assert len(result.state.runs) == 1
        assert result.end.reason == "every schedule of the space has been tried: 1 of 8 full runs were used"

    def test_an_exhausted_space_without_a_result_is_told(self) -> None:
        only = settings(space=SINGLE, incumbent=at(2e-3, family=Linear(), warmup=0.0).schedule, seeds=1)
        reason = study(only, workload=lambda *_: (DIVERGED, None)).end.reason
        assert "1 diverged" in reason


class TestOneTrainingUnderSeveralValues:
    """Over 900 updates a warm-up of .0001 takes one update, as does one of .0002; a whole cooldown is linear decay."""

    SPACE = SearchSpace(
        peak_lr=FloatRange(low=2e-3, high=2e-3),
        warmup=(0.0001, 0.0002, 0.0011),
        floor=(0.0,),
        families=(
            FamilySpace(name="linear"),
            FamilySpace(name="polynomial", params={"power": Choice(values=(1.0,))}),
            FamilySpace(name="wsd", params={"cooldown": Choice(values=(1.0,)), "shape": Choice(values=("linear",))}),
        ),
    )

    def started(self, *start: Configuration, incumbent: Configuration) -> StudyState:
        wanted = tuple(one.schedule for one in start)
        changes = {"space": self.SPACE, "start": wanted, "incumbent": incumbent.schedule, "seeds": 1, "budget": 20}
        return study(settings(**changes), workload=bowl()).state

    def test_it_is_trained_once(self) -> None:
        grid_point, same = at(2e-3, family=Linear(), warmup=0.0001), at(2e-3, family=Linear(), warmup=0.0002)
        now = self.started(same, grid_point, same, incumbent=grid_point)
        assert len(now.runs) == 1
        assert now.trials[0].role is Role.INCUMBENT
        assert now.trials[0].configuration == grid_point

    def test_a_start_schedule_that_was_named_twice_is_trained_once(self) -> None:
        other = at(1e-3, family=Linear(), warmup=0.0)
        now = self.started(other, other, incumbent=at(2e-3, family=Linear(), warmup=0.0001))
        assert [one.role for one in now.trials] == [Role.START, Role.INCUMBENT]


class TestSeeds:
    def test_close_schedules_and_much_noise_are_worth_another_seed(self) -> None:
        noisy = state((INCUMBENT, [1.0, 1.3]), (NEAR, [0.8, 1.15]), (FAR, [2.0]), budget=20)
        choice = choose(over(noisy))
        assert isinstance(choice, Replicate)
        assert choice.trial in (0, 1)
        assert choice.seed == seed_at(2)

    def test_its_reason_says_which_seed_of_which_one_it_is(self) -> None:
        noisy = over(state((INCUMBENT, [1.0, 1.3]), (NEAR, [0.8, 1.15]), (FAR, [2.0]), budget=20))
        choice = choose(noisy)
        assert isinstance(choice, Replicate)
        names = {0: "the incumbent", 1: "a close one"}
        if Estimates(noisy).recommended == 1:
            names[1] = "the one in front"
        assert choice.reason == f"seed 3 of {names[choice.trial]}: it decides more than a new schedule would"

    def test_what_is_hopelessly_behind_gets_no_seed(self) -> None:
        close = (INCUMBENT, [1.0, 1.1]), (NEAR, [0.95, 1.12])
        for _ in range(6):
            choice = choose(over(state(*close, (FAR, [4.0]), budget=20)))
            assert isinstance(choice, Replicate)
            assert choice.trial != 2
            losses = close[choice.trial][1]
            losses.append(1.05 - 0.01 * len(losses))

    @pytest.mark.parametrize("status", [DIVERGED, FAILED, STOPPED])
    def test_a_schedule_with_a_run_that_did_not_finish_gets_no_other(self, status: RunStatus) -> None:
        noisy = over(state((INCUMBENT, [1.0, 1.3]), (NEAR, [0.8, 1.15]), budget=20))
        loss = 1.0 if status is STOPPED else None
        for number in (0, 1):
            out = replace(noisy, runs=(*noisy.runs, run(number, loss, place=2, status=status, std=0.1)))
            choice = choose(out)
            assert isinstance(choice, Spent) or (isinstance(choice, Replicate) and choice.trial != number)

    def test_none_has_more_than_the_settings_allow(self) -> None:
        noisy = over(state((INCUMBENT, [1.0, 1.3]), (NEAR, [0.8, 1.15]), budget=20, seeds=2))
        assert choose(noisy) == Spent(reason="there is nothing more to try")

    def test_without_noise_there_are_no_further_seeds_to_speak_of(self) -> None:
        result = study(settings(budget=8), workload=bowl())
        assert len(result.state.trials) >= 6


class TestIncumbent:
    @pytest.mark.parametrize("noise", [0.0, 0.02, 0.5])
    def test_from_a_budget_of_five_on_it_is_trained_in_any_case(self, noise: float) -> None:
        result = study(settings(budget=5), workload=bowl(noise=noise))
        (incumbent,) = [one for one in result.state.trials if one.role is Role.INCUMBENT]
        assert incumbent.configuration == INCUMBENT
        assert "the incumbent: what every other schedule is compared with" in {one.reason for one in result.decisions}

    def test_it_is_one_trial_also_where_it_is_a_start_schedule(self) -> None:
        result = study(settings(budget=6, start=(INCUMBENT.schedule,)), workload=bowl(noise=0.02))
        assert [one.configuration for one in result.state.trials].count(INCUMBENT) == 1
        assert result.state.trials[0].role is Role.INCUMBENT

    def test_it_is_trained_from_the_pool_where_it_is_in_it(self) -> None:
        pool = [INCUMBENT, NEAR, FAR, at(1e-2, family=Wsd(cooldown=0.2))]
        result = study(settings(budget=12), workload=bowl(noise=0.02), pool=pool)
        assert {one.configuration for one in result.state.trials} <= set(pool)
        assert Role.INCUMBENT in {one.role for one in result.state.trials}


class TestDevices:
    def test_a_running_run_is_not_chosen_again(self) -> None:
        now = state((NEAR, [1.0]), (FAR, [1.3]), budget=20)
        runs = set()
        for _ in range(4):
            choice = choose(now)
            assert isinstance(choice, NewTrial | Replicate)
            if isinstance(choice, NewTrial):
                runs.add((choice.configuration, choice.seed))
                view = run(len(now.trials), status=RUNNING)
                opened = replace(state((choice.configuration, [])).trials[0], number=len(now.trials))
                now = replace(now, trials=(*now.trials, opened), runs=(*now.runs, view))
            else:
                runs.add((now.trials[choice.trial].configuration, choice.seed))
                now = replace(now, runs=(*now.runs, replace(run(choice.trial, status=RUNNING), seed=choice.seed)))
        assert len(runs) == 4


class TestSpent:
    def test_what_would_not_change_the_recommendation_is_not_spent(self) -> None:
        settled = state((INCUMBENT, [1.0] * 5), (FAR, [9.0] * 5), budget=50, margin=1e6)
        assert choose(over(settled)) == Spent(reason="nothing more is expected to change the recommendation")

    def test_a_smaller_margin_makes_it_worth_its_cost(self) -> None:
        noisy = over(state((INCUMBENT, [1.0, 1.3]), (NEAR, [0.8, 1.15]), budget=20))
        assert isinstance(choose(replace(noisy, margin=1e9)), Spent)
        assert isinstance(choose(replace(noisy, margin=1e-3)), Replicate)


def test_schedules_that_are_likely_to_diverge_are_put_off() -> None:
    def limited(configuration: object, seed: int) -> tuple[RunStatus, float | None]:
        peak = configuration.schedule.peak_lr  # type: ignore[attr-defined]
        return (DIVERGED, None) if peak > 3e-3 else (RunStatus.FINISHED, 1.0 - math.log(peak))

    result = study(settings(budget=8), workload=limited)
    statuses = [one.status for one in result.state.runs]
    assert statuses.count(DIVERGED) < len(statuses) / 2
    best = result.state.trials[Estimates(result.state).recommended].configuration
    assert best.schedule.peak_lr <= 3e-3
