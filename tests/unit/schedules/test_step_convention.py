"""What an update's number means, pinned: the endpoints, the warm-up's ends, and what comes after the run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given

from tests.unit.schedules.strategies import EXAMPLES, Case, cases, example
from tuner.schedules import Constant, Cosine, Cyclic, Exponential, Linear, OneCycle, Schedule, Sgdr, Step, Warmup, Wsd

_T, _W = 110, 10
_RAMP = Warmup(shape="linear", updates=_W)
_ROOT = math.sqrt(0.95)
# The factors of the peak at updates 0, W - 1, W, T - 1, T and T + 1.
_ENDPOINTS = [
    (Constant(), 0.0, (0.1, 1, 1, 1, 1, 1)),
    (Linear(), 0.0, (0.1, 1, 1, 0.01, 0, 0)),
    (Linear(), 0.1, (0.1, 1, 1, 0.109, 0.1, 0.1)),
    (Cosine(), 0.0, (0.1, 1, 1, (1 + math.cos(math.pi * 0.99)) / 2, 0, 0)),
    (Sgdr(cycles=2), 0.0, (0.1, 1, 1, (1 + math.cos(math.pi * 0.98)) / 2, 0, 0)),
    (Exponential(rate=2.0), 0.0, (0.1, 1, 1, math.exp(-1.98), math.exp(-2), math.exp(-2))),
    (Step(gamma=0.5, every=0.25), 0.0, (0.1, 1, 1, 0.125, 0.0625, 0.0625)),
    (Wsd(cooldown=0.2, shape="linear"), 0.0, (0.1, 1, 1, 0.05, 0, 0)),
    (Wsd(cooldown=0.2, shape="1-sqrt"), 0.0, (0.1, 1, 1, 1 - _ROOT, 0, 0)),
]
_MAY_RISE = {"sgdr", "one_cycle", "cyclic", "piecewise_linear", "segments"}


@pytest.mark.parametrize(("family", "floor", "factors"), _ENDPOINTS)
def test_the_endpoints_are_as_the_design_says(family, floor, factors):
    schedule = Schedule(peak_lr=0.5, family=family, warmup=_RAMP, floor=floor)
    lrs = [schedule.lr(step, total_steps=_T) for step in (0, _W - 1, _W, _T - 1, _T, _T + 1)]
    np.testing.assert_allclose(lrs, [0.5 * factor for factor in factors], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("family", "factors"),
    [
        (OneCycle(rise=0.2, start_factor=0.04, shape="linear"), (0.04, 0.04 + 0.96 / 22, 1, 1 / 88, 0, 0)),
        (Cyclic(cycles=5), (0, 1 / 11, 0, 1 / 11, 0, 0)),
    ],
)
def test_the_endpoints_of_families_with_their_own_rise(family, factors):
    lrs = Schedule(peak_lr=1.0, family=family)
    steps = (0, 1, 22, _T - 1, _T, _T + 1)
    np.testing.assert_allclose([lrs.lr(step, total_steps=_T) for step in steps], factors, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("warmup", "first", "last"),
    [
        (Warmup(shape="linear", updates=_W), 1 / _W, 1),
        (Warmup(shape="linear", updates=_W, start_factor=0.5), 0.55, 1),
        (Warmup(shape="cosine", updates=_W), (1 - math.cos(math.pi / _W)) / 2, 1),
        (Warmup(shape="exponential", updates=_W, start_factor=0.01), 0.01**0.9, 1),
        (Warmup(shape="constant", updates=_W, start_factor=0.25), 0.25, 0.25),
    ],
)
def test_a_warm_up_starts_above_zero_and_ends_at_the_peak(warmup, first, last):
    lrs = Schedule(peak_lr=1.0, family=Constant(), warmup=warmup).lrs(_T)
    assert lrs[0] == pytest.approx(first, rel=1e-12)
    assert lrs[_W - 1] == pytest.approx(last, rel=1e-12)
    assert np.all(lrs[_W:] == 1.0)
    assert np.all(np.diff(lrs[: _W + 1]) >= 0)


@pytest.mark.parametrize(
    ("fraction", "total_steps", "length"), [(0.1, 100, 10), (0.05, 110, 6), (0.001, 100, 1), (0.0, 100, 0)]
)
def test_a_fraction_of_warm_up_is_rounded_and_is_at_least_one_update(fraction, total_steps, length):
    assert Warmup(shape="linear", fraction=fraction).length(total_steps) == length


@given(case=cases())
def test_after_the_run_the_rate_stays_at_progress_one(case: Case):
    end = case.schedule.lr(case.total_steps, total_steps=case.total_steps)
    for beyond in (1, 2, 1_000, 10**9):
        assert case.schedule.lr(case.total_steps + beyond, total_steps=case.total_steps) == end


@given(case=cases())
def test_a_decay_never_rises_after_its_warm_up_nor_at_the_end_of_the_run(case: Case):
    assume(case.schedule.family.name not in _MAY_RISE)
    lrs = np.append(
        case.schedule.lrs(case.total_steps), case.schedule.lr(case.total_steps, total_steps=case.total_steps)
    )
    assert np.all(np.diff(lrs[case.warmup :]) <= 1e-15 * case.schedule.peak_lr)


@given(case=cases())
def test_no_rate_is_above_the_peak_and_none_after_the_warm_up_is_below_the_floor(case: Case):
    schedule = case.schedule
    lrs = np.append(schedule.lrs(case.total_steps), schedule.lr(case.total_steps, total_steps=case.total_steps))
    assert np.all(lrs <= schedule.peak_lr * (1 + 1e-12))
    assert np.all(lrs[: case.warmup] > 0)
    assert np.all(lrs[case.warmup :] >= schedule.floor * schedule.peak_lr * (1 - 1e-12))


@given(case=cases(most=60))
def test_the_rate_of_one_update_is_that_of_the_whole_run(case: Case):
    alone = [case.schedule.lr(step, total_steps=case.total_steps) for step in range(case.total_steps)]
    np.testing.assert_allclose(alone, case.schedule.lrs(case.total_steps), rtol=1e-13)


@pytest.mark.parametrize("name", EXAMPLES)
def test_resuming_at_any_update_gives_the_rest_of_the_uninterrupted_run(name: str):
    schedule = example(name)
    whole = schedule.lrs(150)
    for resumed_at in (1, 14, 15, 16, 75, 149):
        again = Schedule.from_json(schedule.to_json())
        rest = [again.lr(step, total_steps=150) for step in range(resumed_at, 150)]
        np.testing.assert_allclose(rest, whole[resumed_at:], rtol=1e-13)


def test_the_array_is_fresh_float64_of_the_runs_length():
    schedule = example("cosine")
    lrs = schedule.lrs(30)
    assert lrs.dtype == np.float64
    assert lrs.shape == (30,)
    lrs[:] = 0
    assert schedule.lrs(30)[20] > 0
