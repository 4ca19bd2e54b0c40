"""Whether a running training is stopped."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.search.pruning.scaling_law import configuration, curve, started, study
from tuner.search.pruning.forecast import LossForecaster
from tuner.search.pruning.stopping import MAX_CHANCE, ForecastCheck, Leader, check_forecast

COMPLETE = study(10)
FORECASTER = LossForecaster(COMPLETE, total_steps=1000)
BEST = min(COMPLETE, key=lambda one: one.points[-1][1])
LEADER = Leader(mean=BEST.points[-1][1], std=0.002)


def check(peak_lr: float, *, points: int, leader: Leader = LEADER, margin: float = 0.0) -> ForecastCheck:
    running = started(curve(configuration(peak_lr), seed=31), points=points)
    found = check_forecast(FORECASTER, running, leader=leader, margin=margin)
    assert found is not None
    return found


def test_without_complete_runs_nothing_is_stopped() -> None:
    running = started(curve(configuration(0.001)), points=15)
    forecaster = LossForecaster((), total_steps=1000)
    assert check_forecast(forecaster, running, leader=LEADER, margin=0.0) is None


def test_under_five_evaluations_nothing_is_stopped() -> None:
    running = started(curve(configuration(0.0005)), points=4)
    assert check_forecast(FORECASTER, running, leader=LEADER, margin=0.0) is None


@pytest.mark.parametrize("points", range(5, 20))
def test_a_run_equal_to_the_leader_is_not_stopped(points: int) -> None:
    for seed in range(5):
        running = started(curve(BEST.configuration, seed=seed), points=points)
        found = check_forecast(FORECASTER, running, leader=LEADER, margin=0.0)
        assert found is not None
        assert not found.stop


def test_a_run_far_from_the_leader_is_stopped_early() -> None:
    found = check(0.0012, points=7)
    assert found.stop
    assert found.chance < MAX_CHANCE
    assert found.forecast.mean > LEADER.mean


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=6), st.integers(5, 19), st.floats(0.002, 0.1))
@settings(max_examples=40, deadline=None)
def test_the_chance_falls_with_the_margin(margins: list[float], points: int, peak_lr: float) -> None:
    chances = [check(peak_lr, points=points, margin=margin).chance for margin in sorted(margins)]
    assert chances == sorted(chances, reverse=True)
    assert all(0.0 <= chance <= 1.0 for chance in chances)


def test_the_noise_of_one_run_counts_once() -> None:
    sure, unsure = (check(0.006, points=10, leader=Leader(mean=LEADER.mean, std=std)) for std in (0.0, 0.3))
    assert sure.chance == unsure.chance
    assert unsure.leader.std == 0.3
