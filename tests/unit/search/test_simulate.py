"""A study on a virtual clock."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from tuner.schedules import Cosine, Linear, Schedule
from tuner.search import simulate as module
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import (
    Decision,
    Finish,
    GiveUp,
    NewTrial,
    RunStatus,
    StudyState,
    TrialStatus,
)
from tuner.search.decision.estimates import Estimates
from tuner.search.decision.plan import plan
from tuner.search.decision.seeds import run_seed
from tuner.search.oracle import RunFailed
from tuner.search.pruning.forecast import Curve, Forecast, LossForecaster
from tuner.search.pruning.stopping import ForecastCheck, Leader
from tuner.search.settings import SearchSettings
from tuner.search.simulate import Simulation, simulate
from tuner.search.space import SearchSpace

STEPS = 400
SHAPES = (Linear(), Cosine())
Result = tuple[list[tuple[int, float]], float | None]


@pytest.fixture
def settings(space: SearchSpace) -> SearchSettings:
    return SearchSettings(total_steps=STEPS, budget=8, space=space)


def bowl(configuration: Configuration, steps: int, seed: int) -> Result:
    """The best peak is 3e-3; the loss falls towards its end at a rate that does not depend on the schedule."""
    end = 1.0 + 0.1 * math.log(configuration.schedule.peak_lr / 3e-3) ** 2 + 1e-3 * ((seed * 7919) % 11 - 5)
    return [(step, end + 2.0 * math.exp(-5.0 * step / steps)) for step in range(20, steps + 1, 20)], end


def cost(result: Simulation) -> float:
    return result.updates / result.state.settings.total_steps


def test_one_device_is_never_idle_and_its_time_is_its_updates(settings: SearchSettings) -> None:
    result = simulate(settings, oracle=bowl)
    assert result.idle == 0
    assert result.duration == result.updates == sum(run.steps for run in result.runs)
    assert isinstance(result.decisions[-1], Finish)


def test_more_devices_are_faster_and_no_run_shares_one(settings: SearchSettings) -> None:
    slow = simulate(settings, oracle=bowl)
    fast = simulate(settings, oracle=bowl, devices=4)
    assert fast.duration < slow.duration / 2
    for device in range(4):
        spans = sorted((run.started, run.ended) for run in fast.runs if run.device == device)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


@pytest.mark.parametrize("devices", [1, 3])
@pytest.mark.parametrize("budget", [1.0, 2.5, 6.0])
def test_no_study_costs_more_than_its_budget(settings: SearchSettings, budget: float, devices: int) -> None:
    result = simulate(settings.model_copy(update={"budget": budget}), oracle=bowl, devices=devices)
    assert cost(result) <= budget
    assert result.updates == sum(run.steps for run in result.state.runs)


def test_equal_arguments_give_equal_studies(settings: SearchSettings) -> None:
    assert simulate(settings, oracle=bowl, devices=2) == simulate(settings, oracle=bowl, devices=2)


def test_the_oracle_is_asked_once_for_each_run(settings: SearchSettings) -> None:
    asked: list[tuple[Configuration, int, int]] = []

    def counted(configuration: Configuration, steps: int, seed: int) -> Result:
        asked.append((configuration, steps, seed))
        return bowl(configuration, steps, seed)

    result = simulate(settings, oracle=counted)
    trials = result.state.trials
    assert asked == [(trials[run.trial].configuration, STEPS, run.seed) for run in result.runs]
    assert len(set(asked)) == len(asked)


def test_the_runs_are_those_of_the_state(settings: SearchSettings) -> None:
    result = simulate(settings, oracle=bowl, devices=3)
    assert [(run.trial, run.seed, run.status, run.steps) for run in result.runs] == [
        (run.trial, run.seed, run.status, run.steps) for run in result.state.runs
    ]


def test_a_study_recommends_near_the_best(settings: SearchSettings) -> None:
    result = simulate(settings, oracle=bowl)
    recommended = Estimates(result.state).recommended
    peak = result.state.trials[recommended].configuration.schedule.peak_lr
    assert 1e-3 < peak < 1e-2


def test_only_the_pool_is_trained(space: SearchSpace) -> None:
    peaks = (1e-4, 1e-3, 3e-3, 1e-2)
    pool = [Configuration(schedule=Schedule(peak_lr=peak, family=family)) for peak in peaks for family in SHAPES]
    settings = SearchSettings(total_steps=STEPS, budget=12, space=space, seeds=1, incumbent=pool[0].schedule)
    result = simulate(settings, oracle=bowl, pool=pool)
    assert {trial.configuration for trial in result.state.trials} <= set(pool)


def test_no_more_seeds_are_used_than_the_settings_offer(settings: SearchSettings) -> None:
    result = simulate(settings.model_copy(update={"seeds": 1, "trials": 3}), oracle=bowl)
    assert len(result.runs) == len(result.state.trials) <= 3


def test_a_diverged_run_costs_what_it_trained(space: SearchSpace) -> None:
    def half(configuration: Configuration, steps: int, seed: int) -> Result:
        curve, end = bowl(configuration, steps, seed)
        return (curve, end) if configuration.schedule.peak_lr < 2e-3 else (curve[:3], None)

    settings = SearchSettings(total_steps=STEPS, budget=8, space=space)
    result = simulate(settings, oracle=half)
    diverged = [run for run in result.state.runs if run.status is RunStatus.DIVERGED]
    assert diverged
    assert {run.steps for run in diverged} == {60}
    assert result.state.trials[diverged[0].trial].status is TrialStatus.PRUNED


def test_a_workload_that_always_fails_gives_up_soon(settings: SearchSettings) -> None:
    def broken(configuration: Configuration, steps: int, seed: int) -> Result:
        raise RunFailed

    result = simulate(settings, oracle=broken, devices=2)
    assert isinstance(result.decisions[-1], GiveUp)
    assert {trial.status for trial in result.state.trials} == {TrialStatus.FAILED}
    assert len(result.state.trials) <= 4


class TestStoppingEarly:
    """A fixed list of schedules, the best one first, and a forecast that knows the end of `bowl`."""

    PEAKS = (3e-3, 1e-3, 1e-2, 3e-4, 3e-2, 1e-4)

    @pytest.fixture(autouse=True)
    def _knows_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "check_forecast", self.check)
        monkeypatch.setattr(module, "is_audited", lambda *, trial, seed: trial in self.audited)
        self.audited: set[int] = set()
        self.looked = 0

    def check(
        self, forecaster: LossForecaster, running: Curve, *, leader: Leader, margin: float
    ) -> ForecastCheck | None:
        step = running.points[-1][0]
        assert step < STEPS
        self.looked += 1
        if len(running.points) < 5:
            return None
        end = bowl(running.configuration, STEPS, running.seed)[1]
        assert end is not None
        forecast = Forecast(step=step, mean=end, std=0.01, low=end - 0.02, high=end + 0.02)
        stop = end > leader.mean + margin
        return ForecastCheck(forecast=forecast, leader=leader, margin=margin, chance=0.5 - 0.5 * stop, stop=stop)

    def study(self, settings: SearchSettings, *, devices: int = 1) -> Simulation:
        return simulate(settings, oracle=bowl, devices=devices, planner=self.plan)

    def plan(self, state: StudyState, *, capacity: int) -> tuple[Decision, ...]:
        if not capacity:
            return plan(state, capacity=0)
        first = len(state.trials)
        trials = tuple(
            NewTrial(
                number=first + place,
                role=None,
                configuration=Configuration(schedule=Schedule(peak_lr=peak, family=Linear())),
                seed=run_seed(0, place=0),
                reason="",
            )
            for place, peak in enumerate(self.PEAKS[first : first + capacity])
        )
        if trials or any(run.status is RunStatus.RUNNING for run in state.runs):
            return trials
        return (Finish(reason=""),)

    def test_a_run_without_a_chance_costs_what_it_trained(self, settings: SearchSettings) -> None:
        result = self.study(settings)
        assert [run.status for run in result.runs] == [RunStatus.FINISHED] + [RunStatus.STOPPED] * 5
        assert [run.steps for run in result.runs] == [STEPS, *[100] * 5]
        assert all(run.curve.points[-1][0] == run.steps for run in result.runs)
        assert result.duration == result.updates == STEPS + 500

    def test_a_stopped_run_has_its_forecast_as_its_loss_and_its_trial_is_pruned(self, settings: SearchSettings) -> None:
        result = self.study(settings)
        for run in result.state.runs[1:]:
            assert run.loss == bowl(result.state.trials[run.trial].configuration, STEPS, run.seed)[1]
            assert run.std == 0.01
            assert result.state.trials[run.trial].status is TrialStatus.PRUNED

    def test_the_outcome_of_a_stopped_run_is_known_to_whoever_measures(self, settings: SearchSettings) -> None:
        for run in self.study(settings).runs:
            assert run.outcome is not None
            assert run.outcome.loss == bowl(run.curve.configuration, STEPS, run.seed)[1]

    def test_an_audited_run_is_trained_to_its_end(self, settings: SearchSettings) -> None:
        self.audited = {2, 4}
        result = self.study(settings)
        assert [run.trial for run in result.runs if run.status is RunStatus.FINISHED] == [0, 2, 4]
        assert [run.trial for run in result.runs if run.audited] == [2, 4]

    def test_where_nothing_is_pruned_nothing_is_looked_at(self, settings: SearchSettings) -> None:
        result = self.study(settings.model_copy(update={"prune": False}))
        assert not self.looked
        assert {run.status for run in result.runs} == {RunStatus.FINISHED}

    def test_runs_at_a_time_are_stopped_once_another_leads(self, settings: SearchSettings) -> None:
        result = self.study(settings, devices=2)
        # The first two begin together: nothing leads before one of them is complete.
        assert [run.steps for run in result.runs] == [STEPS, STEPS, *[100] * 4]
        assert result.duration == STEPS + 200
        assert result.idle == 0
