"""For studies of your own in Optuna: the search for schedules as a sampler and a pruner, without the service.

import optuna
from tuner.optuna import ForecastPruner, ScheduleSampler, rungs, suggest_schedule

def objective(trial):
    lrs = suggest_schedule(trial).lrs(1000)
    ...                                        # train; at the steps of rungs(1000): trial.report(loss, step)

sampler = ScheduleSampler("adam", total_steps=1000)
optuna.create_study(sampler=sampler, pruner=ForecastPruner(1000)).optimize(objective, n_trials=20)
"""

from __future__ import annotations

from tuner.optuna.pruner import ForecastPruner
from tuner.optuna.sampler import ScheduleSampler
from tuner.optuna.suggest import rungs, suggest_schedule

__all__ = ["ForecastPruner", "ScheduleSampler", "rungs", "suggest_schedule"]
