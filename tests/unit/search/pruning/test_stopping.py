"""Whether a running training is stopped."""

from __future__ import annotations

from tuner.schedules import Linear, Schedule
from tuner.search.configuration import Configuration
from tuner.search.pruning.forecast import Curve, LossForecaster
from tuner.search.pruning.stopping import Leader, check_forecast


def test_without_complete_runs_nothing_is_stopped() -> None:
    points = tuple((100 * index, 9.0) for index in range(1, 10))
    configuration = Configuration(schedule=Schedule(peak_lr=1e-3, family=Linear()))
    running = Curve(configuration=configuration, seed=0, total_steps=1000, points=points)
    forecaster = LossForecaster((), total_steps=1000)
    assert check_forecast(forecaster, running, leader=Leader(mean=1.0, std=0.0), margin=0.0) is None
