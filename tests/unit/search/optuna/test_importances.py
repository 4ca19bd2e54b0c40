"""The importances find what decided constructed losses, and distinguish it from noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tuner.schedules import Constant, Schedule, Wsd
from tuner.search.configuration import Configuration
from tuner.search.optuna.importances import MIN_FAMILY_TRIALS, MIN_TRIALS, parameter_importances
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, default_space

SPACE = default_space(OptimizerKind.SGD)
SETTINGS = SearchSettings(total_steps=900, space=SPACE)


def drawn(rng, family=None) -> Schedule:
    """A schedule drawn evenly from the space."""
    family = family or SPACE.families[rng.integers(len(SPACE.families))].name
    values = {"family": family}
    for name, parameter in SPACE.parameters(family).items():
        if parameter.kind == "choice":
            values[name] = parameter.values[rng.integers(len(parameter.values))]
        else:
            low, high = (math.log(end) if parameter.log else end for end in (parameter.low, parameter.high))
            value = float(rng.uniform(low, high))
            values[name] = math.exp(value) if parameter.log else value
    return SPACE.build(values)


def importances_of(rows):
    trials = [(Configuration(schedule=schedule), loss) for schedule, loss in rows]
    return parameter_importances(trials, settings=SETTINGS)


def evaluated(loss_of, *, trials, seed=0, family=None):
    rng = np.random.default_rng(seed)
    schedules = [drawn(rng, family) for _ in range(trials)]
    rows = [(schedule, loss_of(schedule) + 0.01 * float(rng.normal())) for schedule in schedules]
    return importances_of(rows)


def by_peak(schedule: Schedule) -> float:
    return math.log(schedule.peak_lr / 0.05) ** 2


def by_family(schedule: Schedule) -> float:
    return float(schedule.family.name not in ("linear", "wsd"))


def by_cooldown(schedule: Schedule) -> float:
    assert isinstance(schedule.family, Wsd)
    assert isinstance(schedule.family.cooldown, float)
    return 20.0 * (schedule.family.cooldown - 0.5) ** 2


@pytest.mark.parametrize(("loss_of", "name"), [(by_peak, "peak_lr"), (by_family, "family")])
def test_the_parameter_that_decides_the_loss_comes_first_and_is_significant(loss_of, name):
    for seed in range(2):
        first, second = evaluated(loss_of, trials=36, seed=seed).common
        assert (first.name, first.above_chance) == (name, True)
        assert not second.above_chance
        assert first.share + second.share == pytest.approx(1.0)


def test_noise_is_no_more_than_chance_though_its_shares_sum_to_one():
    found = [one for seed in range(4) for one in evaluated(lambda _: 0.0, trials=24, seed=seed).common]
    assert sum(one.above_chance for one in found) <= 1


def test_a_familys_own_parameter_is_found_among_its_trials():
    first, *rest = evaluated(by_cooldown, trials=24, family="wsd").families["wsd"]
    assert (first.name, first.above_chance) == ("wsd.cooldown", True)
    assert {one.name for one in rest} == {"peak_lr", "warmup", "floor", "wsd.shape"}


def test_too_few_trials_give_no_importances():
    found = evaluated(by_peak, trials=MIN_TRIALS - 1)
    assert (found.trials, found.common) == (MIN_TRIALS - 1, ())
    assert evaluated(by_peak, trials=MIN_FAMILY_TRIALS - 1, family="wsd").families == {}
    assert importances_of([]) is None


def test_diverged_trials_count_as_worst_and_not_as_absent():
    rng = np.random.default_rng(0)
    schedules = [drawn(rng) for _ in range(30)]
    rows = [(one, None if one.peak_lr > 0.05 else 0.01 * float(rng.normal())) for one in schedules]
    found = importances_of(rows)
    assert (found.trials, found.diverged) == (30, sum(one.peak_lr > 0.05 for one in schedules))
    assert (found.common[0].name, found.common[0].above_chance) == ("peak_lr", True)


def test_schedules_outside_of_the_space_are_left_out():
    outside = Schedule(peak_lr=50.0, family=Constant())
    assert importances_of([(outside, 0.5)]).trials == 0


def test_equal_results_give_equal_importances():
    assert evaluated(by_peak, trials=20) == evaluated(by_peak, trials=20)
