from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.search.conftest import random_schedule
from tuner.errors import InvalidValue
from tuner.schedules import Constant, Cosine, Family, Linear, Schedule, Wsd
from tuner.search.sampler.convex_bound import ShapeBound, shape_bound
from tuner.search.space import SearchSpace

STEPS = 256
RATE = st.just(0.0) | st.floats(1e-3, 1.0)
SHAPES = st.lists(RATE, min_size=1, max_size=30).filter(any)


def bound_of(rates: list[float]) -> float:
    """The theorem as it is written, for D = G = 1, summed again for every update."""
    while rates[-1] == 0.0:
        rates = rates[:-1]

    def s(k: int) -> float:
        return math.fsum(rates[k:])

    def q(k: int) -> float:
        return math.fsum(rate * rate for rate in rates[k:])

    last = math.fsum(rates[k] / s(k + 1) * q(k) / s(k) for k in range(len(rates) - 1))
    return 1.0 / (2.0 * s(0)) + q(0) / (2.0 * s(0)) + 0.5 * last


def bound(family: Family) -> ShapeBound:
    return shape_bound(Schedule(peak_lr=1.0, family=family).lrs(STEPS))


@given(shape=SHAPES)
def test_it_is_the_theorems_bound_at_the_peak_where_that_is_least(shape: list[float]) -> None:
    found = shape_bound(shape)

    at_best = bound_of([found.best_peak * rate for rate in shape])
    assert found.bound == pytest.approx(at_best, rel=1e-9)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert bound_of([factor * found.best_peak * rate for rate in shape]) > at_best


@given(shape=SHAPES, scale=st.floats(1e-3, 1e3))
def test_the_scale_of_a_shape_moves_its_best_peak_alone(shape: list[float], scale: float) -> None:
    found, scaled = shape_bound(shape), shape_bound([scale * rate for rate in shape])

    assert scaled.bound == pytest.approx(found.bound, rel=1e-9)
    assert scaled.best_peak * scale == pytest.approx(found.best_peak, rel=1e-9)


@given(shape=SHAPES, zeros=st.integers(1, 5))
def test_updates_at_rate_zero_at_the_end_change_nothing(shape: list[float], zeros: int) -> None:
    assert shape_bound([*shape, *[0.0] * zeros]) == shape_bound(shape)


def test_the_bound_of_one_update() -> None:
    assert shape_bound([1.0]).best_peak == 1.0
    assert shape_bound([1.0]).bound == 1.0


def test_the_linear_decay_is_within_two_percent_of_the_least_in_the_default_space(space: SearchSpace) -> None:
    rng = random.Random(0)
    shapes = [random_schedule(space, rng).model_copy(update={"peak_lr": 1.0}) for _ in range(300)]

    least = min(shape_bound(one.lrs(STEPS)).bound for one in shapes)

    assert bound(Linear()).bound <= 1.02 * least
    assert bound(Linear()).bound == pytest.approx(2.0 / math.sqrt(STEPS), rel=0.01)


def test_a_constant_rate_is_bounded_worst_and_a_short_cooldown_is_almost_enough() -> None:
    bounds = [bound(family).bound for family in (Linear(), Wsd(cooldown=0.2), Wsd(cooldown=0.05), Constant())]

    assert bounds == sorted(bounds)
    assert bounds[-1] > 1.3 * bounds[0]


@pytest.mark.parametrize("family", [Linear(), Cosine(), Wsd(cooldown=0.2)], ids=lambda family: family.name)
def test_a_constant_rate_prefers_a_lower_peak_than_a_decay(family: Family) -> None:
    assert bound(Constant()).best_peak < 0.8 * bound(family).best_peak


@pytest.mark.parametrize("shape", [[], [0.0, 0.0], [1.0, -1e-9], [math.nan, 1.0], [math.inf], [[1.0, 0.5]]], ids=str)
def test_invalid_shapes_are_refused(shape: list[float]) -> None:
    with pytest.raises(InvalidValue, match="shape must be one row of finite fractions, none negative, not all 0"):
        shape_bound(shape)
