"""The OptunaHub package: what `tuner.optuna` of Schedule Tuner has."""

from tuner.optuna import ForecastPruner, ScheduleSampler, rungs, suggest_schedule

__all__ = ["ForecastPruner", "ScheduleSampler", "rungs", "suggest_schedule"]
