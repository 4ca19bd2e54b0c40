"""The incumbent: the schedule that is used today, or the usual default in its place."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.search.decision.study_states import SPACE, at, settings
from tuner.schedules import Cosine, Linear, Warmup
from tuner.search.decision.decisions import StudyState
from tuner.search.decision.incumbent import default_schedule, incumbent_of
from tuner.search.sampler.grid import PEAK_RATIO, grid
from tuner.search.space import FloatRange, OptimizerKind, default_space


@pytest.mark.parametrize("kind", OptimizerKind)
def test_the_default_lies_in_the_default_space(kind: OptimizerKind) -> None:
    space = default_space(kind)
    found = default_schedule(settings(space=space))
    assert (found.family, found.warmup, found.floor) == (Cosine(), Warmup(shape="linear", fraction=0.05), 0.0)
    assert space.values_of(found) is not None


@given(low=st.floats(1e-6, 0.1), width=st.floats(1.0, 1e4))
def test_its_peak_is_the_point_of_the_grid_nearest_to_the_middle(low: float, width: float) -> None:
    peaks = FloatRange(low=low, high=low * width, log=True)
    found = default_schedule(settings(space=SPACE.model_copy(update={"peak_lr": peaks})))
    assert found.peak_lr in grid(peaks, ratio=PEAK_RATIO)
    assert abs(math.log(found.peak_lr / math.sqrt(peaks.low * peaks.high))) <= 0.5 * math.log(1.011 * PEAK_RATIO)


def test_the_schedule_of_the_request_comes_before_the_default() -> None:
    mine = at(0.7, family=Linear()).schedule
    assert incumbent_of(StudyState(settings=settings(incumbent=mine))).schedule == mine
    assert incumbent_of(StudyState(settings=settings(incumbent=None))).schedule == default_schedule(settings())


def test_it_has_the_jobs_values_of_the_searched_options() -> None:
    state = StudyState(settings=settings(), usual_options=(("weight_decay", 0.1),))
    assert incumbent_of(state).options == (("weight_decay", 0.1),)
