from __future__ import annotations

from collections import Counter

import pytest

from tuner.search.controls import control_count, controls
from tuner.search.decisions import Control
from tuner.search.space import FamilySpace, FloatRange, OptimizerKind, SearchSpace, default_space


@pytest.mark.parametrize(("trials", "count"), [(1, 1), (2, 2), (4, 2), (5, 2), (8, 4), (24, 12), (1000, 12)])
def test_half_of_the_trials_are_controls_and_twelve_at_most(trials: int, count: int, space: SearchSpace) -> None:
    assert control_count(trials) == count
    assert len(controls(space, trials=trials)) == count


@pytest.mark.parametrize("trials", [2, 3, 4])
def test_the_smallest_study_has_a_default_and_a_constant(trials: int, space: SearchSpace) -> None:
    assert [one.control for one in controls(space, trials=trials)] == [Control.DEFAULT, Control.CONSTANT]


def test_a_full_set_has_three_peaks_of_each_group(space: SearchSpace) -> None:
    found = controls(space, trials=100)

    assert Counter(one.control for one in found) == dict.fromkeys(Control, 3)
    assert len({one.schedule for one in found}) == 12
    assert len({(one.control, one.schedule.peak_lr) for one in found}) == 12
    assert all(one.reason for one in found)


@pytest.mark.parametrize("kind", OptimizerKind)
def test_the_default_space_contains_every_control(kind: OptimizerKind) -> None:
    space = default_space(kind)

    assert all(space.values_of(one.schedule) is not None for one in controls(space, trials=100))


def test_a_narrow_space_keeps_the_measured_controls_alone() -> None:
    space = SearchSpace(
        peak_lr=FloatRange(low=1e-3, high=1e-1, log=True),
        warmup=(0.1,),
        floor=(0.0,),
        families=(FamilySpace(name="rex"),),
    )

    found = controls(space, trials=100)

    assert Counter(one.control for one in found) == {Control.DEFAULT: 3, Control.CONSTANT: 3}
    assert all(1e-3 <= one.schedule.peak_lr <= 1e-1 for one in found)


def test_a_single_peak_leaves_one_control_of_each_kind(space: SearchSpace) -> None:
    fixed = space.model_copy(update={"peak_lr": FloatRange(low=1e-3, high=1e-3)})

    found = controls(fixed, trials=100)

    assert Counter(one.control for one in found) == {
        Control.DEFAULT: 1,
        Control.CONSTANT: 1,
        Control.LINEAR: 1,
        Control.WSD: 3,
    }
