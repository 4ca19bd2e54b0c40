from __future__ import annotations

import math
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.search.conftest import NO_OPTIONS, random_schedule
from tuner.schedules import Constant, Linear, Schedule, Warmup
from tuner.search.configuration import Configuration
from tuner.search.sampler.candidates import Grid
from tuner.search.sampler.grid import PEAK_RATIO, grid, sample_value
from tuner.search.space import Choice, FamilySpace, FloatRange, IntRange, OptimizerKind, SearchSpace, default_space

SINGLE = SearchSpace(
    peak_lr=FloatRange(low=1e-3, high=1e-3),
    warmup=(0.0,),
    floor=(0.0,),
    families=(FamilySpace(name="linear"),),
)
SMALL = SearchSpace(
    peak_lr=FloatRange(low=1e-3, high=2e-3, log=True),
    warmup=(0.0, 0.1),
    floor=(0.0,),
    families=(FamilySpace(name="constant"), FamilySpace(name="linear")),
)
SPACES = {
    "adam": default_space(OptimizerKind.ADAM),
    "sgd": default_space(OptimizerKind.SGD),
    "small": SMALL,
    "single": SINGLE,
}
LEAST = 1e-6


@given(low=st.floats(LEAST, 1.0), width=st.floats(1.0, 1e4), ratio=st.floats(1.1, 3.0))
def test_a_grid_of_peaks_has_both_ends_and_no_step_above_its_ratio(low: float, width: float, ratio: float) -> None:
    points = grid(FloatRange(low=low, high=low * width, log=True), ratio=ratio)

    assert (points[0], points[-1]) == (low, low * width)
    assert all(1.0 < float(high) / float(below) <= ratio * 1.011 for below, high in pairwise(points))  # three digits


def test_whole_numbers_on_a_log_scale_are_spread_by_their_ratio() -> None:
    assert grid(IntRange(low=8, high=128, log=True)) == (8, 11, 15, 20, 27, 37, 51, 69, 94, 128)


@given(seed=st.integers(0, 1_000))
def test_random_values_lie_in_their_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parameters = (
        FloatRange(low=1e-5, high=0.1, log=True),
        FloatRange(low=-1.0, high=1.0),
        FloatRange(low=0.5, high=0.5, log=True),
        IntRange(low=3, high=4),
        Choice(values=("a", 2, True)),
    )
    assert all(parameter.contains(sample_value(parameter, rng=rng)) for parameter in parameters)


@given(low=st.floats(0.0, 1.0), width=st.floats(0.1, 10.0))
def test_points_between_the_ends_have_three_digits(low: float, width: float) -> None:
    points = grid(FloatRange(low=low, high=low + width))

    assert len(points) == 10
    assert all(float(f"{point:.3g}") == point for point in points[1:-1])


def test_whole_numbers_choices_and_single_points_are_taken_as_they_are() -> None:
    assert grid(IntRange(low=3, high=6)) == (3, 4, 5, 6)
    assert grid(IntRange(low=0, high=90)) == (0, 10, 20, 30, 40, 50, 60, 70, 80, 90)
    assert grid(Choice(values=("b", "a"))) == ("b", "a")
    assert grid(FloatRange(low=0.5, high=0.5), ratio=PEAK_RATIO) == (0.5,)


@pytest.mark.parametrize("name", SPACES)
def test_every_sampled_point_lies_in_the_space_and_is_there_once(name: str) -> None:
    found = Grid(SPACES[name], options=NO_OPTIONS).sample(200, rng=np.random.default_rng(0))

    assert len(set(found)) == len(found) > 0
    assert all(SPACES[name].values_of(one.schedule) is not None for one in found)
    assert {one.options for one in found} == {()}
    assert {one.schedule.family.name for one in found} == {family.name for family in SPACES[name].families}


@pytest.mark.parametrize("name", SPACES)
def test_every_neighbor_lies_in_the_space_and_is_another(name: str) -> None:
    space, rng = SPACES[name], random.Random(0)
    for schedule in [random_schedule(space, rng) for _ in range(20)]:
        around = list(Grid(space, options=NO_OPTIONS).neighbors(Configuration(schedule=schedule)))
        found = [one.schedule for one in around]

        assert schedule not in found
        assert {one.options for one in around} <= {()}
        assert all(space.values_of(one) is not None for one in found)
        near = [one for one in found if one.family == schedule.family and one.warmup == schedule.warmup]
        ratios = [abs(math.log(one.peak_lr / schedule.peak_lr)) for one in near]
        assert all(ratio <= 3.0 * math.log(PEAK_RATIO) for ratio in ratios)


def test_a_single_point_has_itself_and_no_neighbor() -> None:
    only = Configuration(schedule=Schedule(peak_lr=1e-3, family=Linear()))
    points = Grid(SINGLE, options=NO_OPTIONS)

    assert points.sample(9, rng=np.random.default_rng(0)) == [only]
    assert list(points.neighbors(only)) == []


def test_a_schedule_outside_the_space_has_no_neighbors() -> None:
    outside = Schedule(peak_lr=1e-3, family=Constant(), warmup=Warmup(shape="linear", fraction=0.3))

    assert list(Grid(SMALL, options=NO_OPTIONS).neighbors(Configuration(schedule=outside))) == []


def test_the_same_seed_draws_the_same_points() -> None:
    one, two = (Grid(SMALL, options=NO_OPTIONS).sample(50, rng=np.random.default_rng(4)) for _ in range(2))

    assert one == two
