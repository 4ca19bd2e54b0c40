"""The forecast of a run's final loss."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.search.pruning.scaling_law import configuration, curve, started, study
from tuner.search.pruning.forecast import MIN_COMPLETE, MIN_POINTS, Curve, Forecast, LossForecaster

HORIZONS = (100, 1000, 20_000)


def affine(one: Curve, *, factor: float, shift: float) -> Curve:
    return replace(one, points=tuple((step, factor * loss + shift) for step, loss in one.points))


def forecast(complete: list[Curve], running: Curve) -> Forecast:
    found = LossForecaster(complete, total_steps=running.total_steps).forecast(running)
    assert found is not None
    return found


@pytest.mark.parametrize("points", range(MIN_POINTS))
def test_under_five_evaluations_there_is_no_forecast(points: int) -> None:
    running = started(curve(configuration(0.02)), points=points)
    assert LossForecaster(study(8), total_steps=1000).forecast(running) is None


def test_five_evaluations_at_the_very_start_of_a_run_are_no_basis_of_a_forecast() -> None:
    points = tuple((step, 3.0 - 0.01 * step) for step in range(1, 11))
    running = Curve(configuration=configuration(0.02), seed=0, total_steps=1000, points=points)
    assert LossForecaster(study(8), total_steps=1000).forecast(running) is None


def test_without_enough_complete_runs_of_the_length_there_is_no_forecast() -> None:
    running = started(curve(configuration(0.02)), points=10)
    others = study(MIN_COMPLETE - 1) + study(5, steps=500) + [started(one, points=15) for one in study(5)]
    assert LossForecaster(others, total_steps=1000).forecast(running) is None
    assert LossForecaster(study(MIN_COMPLETE), total_steps=1000).forecast(running) is not None


@pytest.mark.parametrize("last", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_no_basis_of_a_forecast(last: float) -> None:
    running = started(curve(configuration(0.02)), points=9)
    running = replace(running, points=(*running.points, (500, last)))
    assert LossForecaster(study(8), total_steps=1000).forecast(running) is None


@pytest.mark.parametrize("steps", HORIZONS)
@pytest.mark.parametrize("index", range(6))
def test_the_end_lies_in_the_interval_and_near_the_forecast_at_every_horizon(steps: int, index: int) -> None:
    whole = curve(configuration(0.021, index=index), seed=77, steps=steps)
    running = started(whole, points=len(whole.points) * 6 // 10)
    found = forecast(study(10, steps=steps), running)
    final = whole.points[-1][1]
    assert found.step == running.points[-1][0]
    assert found.low < final < found.high
    assert abs(found.mean - final) < 0.4 * abs(running.points[-1][1] - final) + 0.02


def test_the_decay_still_to_come_is_part_of_the_forecast() -> None:
    decays = curve(configuration(0.05, index=5), seed=5)
    constant = curve(configuration(0.05, index=3), seed=5)
    # The two have been the same run so far.
    until = next(i for i, (a, b) in enumerate(zip(decays.points, constant.points, strict=True)) if a != b)
    early, late = started(decays, points=until), started(constant, points=until)
    assert early.points == late.points
    complete = study(12)
    assert forecast(complete, early).mean < forecast(complete, late).mean - 0.1


@given(factor=st.floats(1e-3, 1e3), shift=st.floats(-5.0, 5.0), points=st.integers(5, 19), count=st.integers(3, 9))
@settings(max_examples=40, deadline=None)
def test_the_forecast_follows_the_unit_and_the_zero_of_the_loss(
    factor: float, shift: float, points: int, count: int
) -> None:
    complete, running = study(count), started(curve(configuration(0.013, index=1), seed=9), points=points)
    plain = forecast(complete, running)
    moved = forecast(
        [affine(one, factor=factor, shift=factor * shift) for one in complete],
        affine(running, factor=factor, shift=factor * shift),
    )
    for name in ("mean", "low", "high"):
        expected = factor * (getattr(plain, name) + shift)
        assert getattr(moved, name) == pytest.approx(expected, rel=1e-4, abs=1e-4 * factor)
    assert moved.std == pytest.approx(factor * plain.std, rel=1e-3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=20), st.integers(3, 6), st.integers(5, 19))
@settings(max_examples=40, deadline=None)
def test_any_finite_losses_give_a_finite_forecast(losses: list[float], count: int, points: int) -> None:
    complete = study(count)
    running = curve(configuration(0.02))
    wild = replace(running, points=tuple((step, loss) for (step, _), loss in zip(running.points, losses, strict=True)))
    for basis in (complete, [*complete[1:], wild]):
        found = forecast(basis, started(wild, points=points))
        assert all(math.isfinite(value) for value in (found.mean, found.std, found.low, found.high))
        assert found.low <= found.mean <= found.high


def test_equal_losses_throughout_are_forecast_to_stay() -> None:
    flat = [replace(one, points=tuple((step, 0.5) for step, _ in one.points)) for one in study(5)]
    found = forecast(flat[1:], started(flat[0], points=10))
    assert found.mean == pytest.approx(0.5, abs=1e-6)


def test_the_interval_narrows_as_the_run_goes_on() -> None:
    whole = curve(configuration(0.021), seed=4)
    forecaster = LossForecaster(study(10), total_steps=1000)
    widths = []
    for points in (6, 19):
        found = forecaster.forecast(started(whole, points=points))
        assert found is not None
        widths.append(found.high - found.low)
    assert widths[1] < widths[0]


def test_fewer_complete_runs_give_a_wider_interval() -> None:
    rng = np.random.default_rng(0)
    runs = [curve(configuration(0.02, index=index), seed=index, offset=0.05 * rng.normal()) for index in range(24)]
    running = started(curve(configuration(0.02), seed=99), points=10)
    few, many = forecast(runs[:3], running), forecast(runs, running)
    assert few.high - few.low > many.high - many.low


def test_many_evaluations_and_runs_are_thinned() -> None:
    complete = []
    for one in study(60, steps=20_000):
        steps = np.arange(50, 20_001, 50)
        losses = np.interp(steps, *np.array(one.points).T)
        points = tuple(zip(steps.tolist(), losses.tolist(), strict=True))
        complete.append(replace(one, points=points))
    running = started(complete[30], points=200)
    found = forecast(complete[:30] + complete[31:], running)
    assert found.low < complete[30].points[-1][1] < found.high
