from __future__ import annotations

import math
import random

import numpy as np
import pytest

from tests.unit.search.conftest import NO_OPTIONS, random_schedule
from tuner.schedules import Constant, Cosine, Linear, Polynomial, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.sampler.features import Features
from tuner.search.space import OptimizerKind, SearchSpace, default_space

HORIZON = 5_000
PARTS = ("peak", "bound", "warmup", "curve", "rate", "options")


def of(*schedules: Schedule, total_steps: int = HORIZON) -> Features:
    configurations = [Configuration(schedule=one) for one in schedules]
    return Features.of(configurations, total_steps=total_steps, options=NO_OPTIONS)


def test_equal_schedules_have_equal_features_under_any_family_name() -> None:
    named, other = Schedule(peak_lr=0.1, family=Linear()), Schedule(peak_lr=0.1, family=Polynomial(power=1.0))

    found = of(named, named, other)

    for part in PARTS:
        values = getattr(found, part)
        assert np.array_equal(values[0], values[1])
        assert np.allclose(values[0], values[2], atol=1e-9)


@pytest.mark.parametrize("kind", OptimizerKind)
def test_schedules_without_a_warmup_have_features_like_all_others(kind: OptimizerKind) -> None:
    space = default_space(kind)
    rng = random.Random(0)
    rising = [random_schedule(space, rng) for _ in range(50)]
    level = [one.model_copy(update={"warmup": Warmup()}) for one in rising]

    found = of(*level)

    assert all(np.isfinite(getattr(found, part)).all() for part in PARTS)
    assert (found.warmup <= of(*rising).warmup).all()


def test_the_peak_moves_the_peak_and_the_rate_and_nothing_else(space: SearchSpace) -> None:
    rng = random.Random(0)
    schedules = [random_schedule(space, rng) for _ in range(50)]

    low = of(*schedules)
    high = of(*[one.model_copy(update={"peak_lr": 3.0 * one.peak_lr}) for one in schedules])

    assert np.allclose(high.peak - low.peak, math.log(3.0))
    assert np.allclose(high.rate - low.rate, math.log(3.0))
    for part in ("bound", "warmup", "curve", "options"):
        assert np.array_equal(getattr(high, part), getattr(low, part))


@pytest.mark.parametrize("horizon", [128, 256, 1_000, 10**6])
def test_the_horizon_hardly_matters_to_a_shape(horizon: int, space: SearchSpace) -> None:
    rng = random.Random(1)
    schedules = [random_schedule(space, rng) for _ in range(50)]

    here, there = of(*schedules), of(*schedules, total_steps=horizon)

    assert np.allclose(here.peak, there.peak, atol=0.1)
    assert np.allclose(here.bound, there.bound, atol=0.1)
    assert np.allclose(here.curve, there.curve, atol=0.1)
    assert np.allclose(here.warmup, there.warmup, atol=0.3)  # a warm-up is a whole number of updates


def test_a_linear_decay_has_no_excess_and_a_constant_rate_much() -> None:
    found = of(Schedule(peak_lr=0.1, family=Linear()), Schedule(peak_lr=0.1, family=Constant()))

    assert found.bound[0] == pytest.approx(0.0, abs=0.01)
    assert found.bound[1] > 0.2


def test_the_curve_is_the_rate_after_the_warmup_over_the_peak() -> None:
    ramp = Warmup(shape="linear", fraction=0.1)
    hold, linear = of(
        Schedule(peak_lr=7.0, family=Wsd(cooldown=0.2), warmup=ramp),
        Schedule(peak_lr=7.0, family=Linear(), warmup=ramp),
    ).curve

    assert np.all(hold[:12] == 1.0)
    assert np.all(hold[13:] < 1.0)
    assert np.allclose(linear, 1.0 - (np.arange(16) + 0.5) / 16, atol=0.01)


def test_rows_can_be_joined_and_taken_from_one_on() -> None:
    one, two = Schedule(peak_lr=0.1, family=Linear()), Schedule(peak_lr=0.2, family=Cosine())

    joined = of(one).joined(of(two))

    for part in PARTS:
        assert np.array_equal(getattr(joined, part), getattr(of(one, two), part))
        assert np.array_equal(getattr(joined.since(1), part), getattr(of(two), part))


def test_no_warmup_is_near_a_very_short_one_and_far_from_a_long_one() -> None:
    none, short, long = (
        Schedule(
            peak_lr=0.1, family=Linear(), warmup=Warmup(shape="linear", fraction=fraction) if fraction else Warmup()
        )
        for fraction in (0.0, 0.001, 0.1)
    )

    found = of(none, short, long)

    assert np.isfinite(found.warmup).all()
    assert found.warmup[0] == pytest.approx(math.log(0.005))
    assert found.warmup[1] - found.warmup[0] < 0.2 < 2.0 < found.warmup[2] - found.warmup[0]
    assert np.allclose(found.curve[0], found.curve[1], atol=0.01)


def test_of_no_schedules_there_are_no_rows() -> None:
    found = of()

    assert (found.peak.shape, found.curve.shape, found.options.shape) == ((0,), (0, 16), (0, 0))
