"""The forecast on losses of real runs (benchmarks/data/README.md): what it saves, and whether it stops the best."""

from __future__ import annotations

import random
from functools import lru_cache

import numpy as np

from benchmarks.lab.files import load_table
from tuner.search.pruning.forecast import Curve, LossForecaster
from tuner.search.pruning.stopping import Leader, check_forecast
from tuner.training.evaluation_steps import evaluation_steps

HORIZON = 50_000
STUDIES = 20
SCHEDULES = 16


@lru_cache(maxsize=1)
def recorded() -> tuple[Curve, ...]:
    """Every complete run of the recorded model at the horizon, evaluated as often as in a job."""
    curves = []
    for row in load_table("llama124m_slimpajama").rows:
        if row.steps == HORIZON:
            steps = evaluation_steps(HORIZON)
            losses = np.interp(steps, *np.array(row.curve).T)
            points = tuple(zip(steps, losses.tolist(), strict=True))
            curves.append(Curve(configuration=row.configuration, seed=0, total_steps=HORIZON, points=points))
    return tuple(curves)


def trained(study: list[Curve]) -> tuple[list[Curve], float, list[bool]]:
    """The runs one after the other: those that were not stopped, the share of steps saved, and the intervals' cover."""
    complete: list[Curve] = []
    saved, covers = 0.0, []
    for run in study:
        forecaster = LossForecaster(complete, total_steps=HORIZON)
        for count in range(5, len(run.points)):
            so_far = Curve(configuration=run.configuration, seed=0, total_steps=HORIZON, points=run.points[:count])
            leader = Leader(mean=min((one.points[-1][1] for one in complete), default=0.0), std=0.0)
            check = check_forecast(forecaster, so_far, leader=leader, margin=0.0)
            if check is None:
                continue
            covers.append(check.forecast.low <= run.points[-1][1] <= check.forecast.high)
            if check.stop:
                saved += 1.0 - run.points[count - 1][0] / HORIZON
                break
        else:
            complete.append(run)
    return complete, saved / len(study), covers


def test_random_schedules_are_stopped_early_and_hardly_ever_the_best() -> None:
    lost = 0
    saved: list[float] = []
    covers: list[bool] = []
    for number in range(STUDIES):
        study = random.Random(number).sample(recorded(), SCHEDULES)
        complete, share, inside = trained(study)
        lost += min(study, key=lambda run: run.points[-1][1]) not in complete
        saved.append(share)
        covers += inside
    assert lost <= 1
    assert np.mean(saved) > 0.1
    assert np.mean(covers) > 0.85
