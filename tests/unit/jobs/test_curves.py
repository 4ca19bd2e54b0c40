from __future__ import annotations

import itertools
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import InvalidValue
from tuner.jobs.curves import MAX_POINTS, MIN_POINTS, downsample, prefiltered
from tuner.jobs.records import CurvePoint

LOSSES = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=300)


def curve(losses: list[float]) -> list[CurvePoint]:
    return [CurvePoint(step=step, lr=0.1, train_loss=None, val_loss=loss) for step, loss in enumerate(losses)]


@given(losses=LOSSES, most=st.integers(MIN_POINTS, 400))
def test_the_selection_is_an_ordered_subset_of_the_requested_size(losses: list[float], most: int):
    points = curve(losses)
    kept = downsample(points, max_points=most)
    steps = [point.step for point in kept]
    assert steps == sorted(set(steps))
    assert all(points[point.step] is point for point in kept)
    assert len(kept) == min(len(points), most)


@given(losses=LOSSES.filter(bool), most=st.integers(MIN_POINTS, 400))
def test_both_ends_and_the_minimum_are_selected(losses: list[float], most: int):
    kept = downsample(curve(losses), max_points=most)
    assert (kept[0].step, kept[-1].step) == (0, len(losses) - 1)
    finite = [loss for loss in losses if math.isfinite(loss)]
    if finite:
        assert min(finite) in [point.val_loss for point in kept]


@given(losses=LOSSES, most=st.integers(MIN_POINTS, 400))
def test_the_points_where_the_loss_stops_being_finite_are_selected_the_earliest_first(losses: list[float], most: int):
    onsets = [
        step
        for step, loss in enumerate(losses)
        if not math.isfinite(loss) and (step == 0 or math.isfinite(losses[step - 1]))
    ]
    kept = {point.step for point in downsample(curve(losses), max_points=most)}
    assert kept >= set(onsets[: most - 3])


@given(count=st.integers(50, 2_000), most=st.integers(10, 50))
def test_no_long_stretch_is_left_out(count: int, most: int):
    kept = [point.step for point in downsample(curve([1.0] * count), max_points=most)]
    gaps = [after - before for before, after in pairwise(kept)]
    assert max(gaps) <= 2 * math.ceil(count / (most - 3))


def test_too_few_points_are_refused():
    with pytest.raises(InvalidValue, match="points must be at least 4, got 3"):
        downsample([], max_points=3)


@pytest.mark.parametrize("count", [1, 5, MAX_POINTS, MAX_POINTS + 1, 25_000])
def test_a_curve_of_any_length_is_prefiltered_to_what_downsampling_may_select(count: int):
    losses = [1.0 + (step * 7919 % 10_007) for step in range(count)]
    losses[count // 2] = 0.5
    losses[count // 3] = math.inf
    points = [CurvePoint(step=step, lr=0.1, train_loss=1.0, val_loss=loss) for step, loss in enumerate(losses)]
    left = prefiltered(iter(points), count=count)
    assert list(left) == sorted(left, key=lambda point: point.step)
    assert {points[0], points[-1], points[count // 2], points[count // 3]} <= set(left)
    assert left == tuple(points) if count <= MAX_POINTS else len(left) <= MAX_POINTS + 4


def test_a_curve_that_is_finite_now_and_then_is_prefiltered_in_constant_memory():
    losses = itertools.cycle([1.0, math.nan])
    points = (CurvePoint(step=step, lr=0.1, train_loss=1.0, val_loss=next(losses)) for step in range(200_000))
    assert len(prefiltered(points, count=200_000)) <= 3 * MAX_POINTS
