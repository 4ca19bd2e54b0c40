"""Optuna's pruners on the raw loss, as what stops the runs of a search."""

from __future__ import annotations

import math

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner import Schedule, simulate_study
from tuner.errors import InvalidValue
from tuner.schedules import Cosine, Linear, Wsd
from tuner.search.configuration import Configuration
from tuner.search.optuna.pruners import RawPruning
from tuner.search.pruning.forecast import Curve
from tuner.search.settings import PrunerName

STEPS = 400
SOME = Configuration(schedule=Schedule(peak_lr=0.01, family=Cosine()))
RAW = [name for name in PrunerName if name is not PrunerName.FORECAST]
LOSSES = st.lists(st.floats(0.0, 10.0), min_size=20, max_size=20)


def curve(losses) -> Curve:
    points = tuple((STEPS * place // 20, loss) for place, loss in enumerate(losses, start=1))
    return Curve(configuration=SOME, seed=0, total_steps=STEPS, points=points)


def first_stop(pruning: RawPruning, losses) -> int | None:
    """The number of evaluations after which a run is stopped; ``None`` when it is not."""
    return next((count for count in range(1, 21) if pruning.stops(curve(losses[:count]))), None)


@settings(max_examples=25, deadline=None)
@given(others=st.lists(LOSSES, min_size=4, max_size=8), running=LOSSES)
def test_the_median_rule_stops_a_run_where_it_does_in_a_study_of_optunas(others, running):
    study = optuna.create_study(pruner=optuna.pruners.MedianPruner())
    for losses in others:
        trial = study.ask()
        for count, loss in enumerate(losses, start=1):
            trial.report(loss, count)
        study.tell(trial, losses[-1])
    trial, expected = study.ask(), None
    for count, loss in enumerate(running, start=1):
        trial.report(loss, count)
        if trial.should_prune():
            expected = count
            break
    pruning = RawPruning(PrunerName.MEDIAN, others=dict(enumerate(map(curve, others))), trial=len(others), seed=0)
    assert first_stop(pruning, running) == expected


@pytest.mark.parametrize("name", RAW)
def test_the_worst_of_many_runs_is_stopped_and_the_best_is_not(name):
    others = {number: curve([2.0 + number / 10] * 20) for number in range(9)}
    assert first_stop(RawPruning(name, others=others, trial=9, seed=0), [1.0] * 20) is None
    stops = [first_stop(RawPruning(name, others=others, trial=9, seed=seed), [9.0] * 20) for seed in range(8)]
    assert [stop for stop in stops if stop is not None]  # Hyperband has a bracket that stops nothing


@pytest.mark.parametrize("name", RAW)
def test_a_run_that_is_decided_on_once_more_is_decided_alike(name):
    others = {number: curve([2.0 + number / 10] * 20) for number in range(9)}
    once = RawPruning(name, others=others, trial=9, seed=0)
    for count in range(1, 21):
        anew = RawPruning(name, others=others, trial=9, seed=0)
        assert once.stops(curve([9.0] * count)) == anew.stops(curve([9.0] * count))


def test_the_trials_between_are_left_out_and_those_that_began_later_count():
    others = {number: curve([1.0 + number / 100] * 20) for number in (1, 2, 5, 6, 8)}
    assert first_stop(RawPruning(PrunerName.MEDIAN, others=others, trial=3, seed=0), [9.0] * 20) == 1


def test_a_stopped_run_counts_for_successive_halving():
    others = {number: curve([loss] * 3) for number, loss in enumerate((1.0, 1.1, 1.2))}
    assert first_stop(RawPruning(PrunerName.SHA, others=others, trial=3, seed=0), [5.0] * 20) == 1


def test_the_forecast_is_no_rule_on_the_raw_loss():
    with pytest.raises(InvalidValue, match="pruner must be a rule on the raw loss, got 'forecast'"):
        RawPruning(PrunerName.FORECAST, others={}, trial=0, seed=0)


def held_wins(configuration: Configuration, steps: int, seed: int):
    """The loss follows the area under the rates, and is raised by the rate itself: it falls once that decays."""
    rates = configuration.schedule.lrs(steps) / 1e-2
    area = rates.cumsum() / steps
    points = [
        (step, 0.2 + math.exp(-3.0 * float(area[step - 1])) + 0.5 * float(rates[step - 1]))
        for step in range(steps // 20, steps + 1, steps // 20)
    ]
    return points, points[-1][1]


def report(pruner: str):
    linears = [Schedule(peak_lr=peak, family=Linear()) for peak in (0.005, 0.006, 0.007, 0.008, 0.009)]
    held = Schedule(peak_lr=0.01, family=Wsd(cooldown=0.2, shape="linear"))
    start = [*linears, held]
    search = {"start": start, "trials": 6, "pruner": pruner}
    found = simulate_study(
        held_wins, space="adam", total_steps=STEPS, budget=7, seed=1, incumbent=linears[0], search=search
    )
    return found, next(
        trial for trial in found.early_stops.stopped if trial.trial == 5
    ) if found.early_stops.stopped else None


def test_the_median_rule_stops_the_schedule_that_wins_and_the_report_says_what_that_risks():
    with_forecast, stopped = report("forecast")
    assert stopped is None
    assert with_forecast.recommended.schedule.family.name == "wsd"
    with_median, stopped = report("median")
    assert stopped is not None
    assert "1 run was stopped early, by pruner median" in with_median.early_stops.sentence
    assert "1 of 1 had a chance of 1 % or more to beat the leader by the margin" in with_median.early_stops.sentence
    assert any("Pruner median stopped 1 run" in sentence for sentence in with_median.reservations)
