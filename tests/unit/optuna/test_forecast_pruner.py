from __future__ import annotations

import math
from typing import Any

import optuna
import pytest

from tuner.errors import InvalidValue
from tuner.optuna import ForecastPruner, ScheduleSampler, rungs, suggest_schedule
from tuner.schedules import Constant, Linear, Schedule, Wsd

optuna.logging.set_verbosity(optuna.logging.WARNING)

STEPS = 400


def curve(schedule: Schedule) -> list[tuple[int, float]]:
    """A loss that follows the area under the rates, and is raised by the rate itself: it falls once that decays."""
    rates = schedule.lrs(STEPS) / 1e-2
    area = rates.cumsum() / STEPS
    return [
        (step, 0.2 + math.exp(-3.0 * float(area[step - 1])) + 0.5 * float(rates[step - 1])) for step in rungs(STEPS)
    ]


def train(study: optuna.Study, schedule: Schedule) -> int | None:
    """Train a schedule as an objective would; returns the step at which it was pruned."""
    trial = study.ask()
    trial.set_user_attr("schedule", schedule.to_json())
    for step, value in curve(schedule):
        trial.report(value, step)
        if trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return step
    study.tell(trial, value)
    return None


def studied(*schedules: Schedule) -> optuna.Study:
    study = optuna.create_study(pruner=ForecastPruner(STEPS))
    for schedule in schedules:
        assert train(study, schedule) is None
    return study


GOOD = tuple(Schedule(peak_lr=peak, family=Linear()) for peak in (0.006, 0.008, 0.01, 0.012))


def test_a_hopeless_trial_is_pruned_after_a_fifth_of_its_run():
    pruned = train(studied(*GOOD), Schedule(peak_lr=1e-4, family=Constant()))
    assert pruned is not None
    assert 0.2 * STEPS <= pruned < STEPS


def test_a_rate_that_is_held_long_and_wins_in_the_end_is_not_pruned_as_the_median_rule_does():
    held = Schedule(peak_lr=0.01, family=Wsd(cooldown=0.25, shape="linear"))
    there = dict(curve(held))
    assert all(there[200] > dict(curve(one))[200] for one in GOOD)  # the median rule would end it here
    assert train(studied(*GOOD), held) is None
    assert there[STEPS] <= min(dict(curve(one))[STEPS] for one in GOOD)


def test_nothing_is_pruned_before_three_trials_are_complete():
    assert train(studied(*GOOD[:2]), Schedule(peak_lr=1e-4, family=Constant())) is None


def test_a_trial_without_a_schedule_is_never_pruned():
    study = studied(*GOOD)
    trial = study.ask()
    for step in rungs(STEPS):
        trial.report(1e6, step)
        assert not trial.should_prune()


def test_a_pruned_trial_counts_with_its_forecast():
    study = optuna.create_study(sampler=ScheduleSampler("adam", total_steps=STEPS), pruner=ForecastPruner(STEPS))
    for one in (*GOOD, Schedule(peak_lr=1e-4, family=Constant())):
        train(study, one)
    sampler: Any = study.sampler
    state = sampler._state(study, trials=study.trials)
    assert state.runs[-1].loss == pytest.approx(dict(curve(Schedule(peak_lr=1e-4, family=Constant())))[STEPS], rel=0.2)
    assert suggest_schedule(study.ask()).peak_lr > 1e-3


def test_a_run_without_updates_is_refused():
    with pytest.raises(InvalidValue, match="total_steps must be at least 1, got 0"):
        ForecastPruner(0)
