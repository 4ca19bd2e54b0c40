"""The readings of an LR range test, on curves whose features are known."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tuner.report.range_test import RangeTestFormat, rendered_range_test
from tuner.report.terminal.range_test import range_test_text
from tuner.search.range_test.result import RangeTest, SweepCurve, range_test
from tuner.search.range_test.settings import EVALUATIONS, RangeTestSettings

LOW, HIGH, STEPS = 1e-6, 1.0, 200


def rates() -> list[tuple[int, float]]:
    test = RangeTestSettings(low=LOW, high=HIGH, steps=STEPS)
    lrs = test.sweep.lrs(STEPS)
    ends = [math.ceil(STEPS * place / EVALUATIONS) for place in range(1, EVALUATIONS + 1)]
    return [(end, float(lrs[end - 1])) for end in ends]


def curve(loss, *, seed: int = 0, until: float = math.inf, scale: float = 1.0) -> SweepCurve:
    points = tuple((step, lr, scale * loss(lr)) for step, lr in rates() if lr <= until)
    return SweepCurve(seed=seed, points=points)


def valley(fall: float, rise: float):
    """A loss from 2 to 1 around the rate ``fall``, and up around ``rise``."""
    return lambda lr: 1.0 + 1.0 / (1.0 + (lr / fall) ** 2) + (lr / rise) ** 4


def read(*curves: SweepCurve) -> RangeTest:
    return range_test(curves, low=LOW, high=HIGH, steps=STEPS)


@given(
    fall=st.floats(1e-4, 1e-3),
    width=st.floats(30.0, 300.0),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_the_readings_are_near_the_features_of_the_curve(fall, width, scale, seed):
    rise, noise = min(fall * width, 0.1), random.Random(seed)
    noisy = [curve(lambda lr: valley(fall, rise)(lr) + noise.gauss(0, 0.005), scale=scale) for _ in range(3)]
    readings = read(*noisy).readings
    assert fall / 4 < readings.steepest < fall * 4
    assert rise / 4 < readings.last_stable < rise * 2
    assert readings.before_rise < readings.last_stable
    assert readings.steepest < readings.last_stable


@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-10, 10))
@settings(max_examples=30, deadline=None)
def test_the_readings_do_not_depend_on_the_unit_of_the_loss(scale, shift):
    plain = read(curve(valley(1e-3, 0.1)))
    other = read(curve(lambda lr: shift + valley(1e-3, 0.1)(lr), scale=scale))
    assert other.readings == plain.readings


def test_the_sweep_rises_by_the_same_factor_at_every_update():
    test = RangeTestSettings(low=LOW, high=HIGH, steps=STEPS)
    lrs = test.sweep.lrs(STEPS)
    assert lrs[-1] == HIGH
    assert lrs[0] == pytest.approx(LOW, rel=0.1)
    ratios = lrs[1:-1] / lrs[:-2]
    assert np.allclose(ratios, ratios[0])


def test_a_loss_that_does_not_fall_has_no_readings():
    noise = random.Random(0)
    test = read(*(curve(lambda lr: 2.0 + noise.gauss(0, 0.1)) for _ in range(3)))
    assert set(test.readings.model_dump().values()) == {None}
    assert "does not fall clearly" in test.summary


def test_without_a_rise_there_is_no_bound_and_it_says_how_to_get_one():
    test = read(curve(valley(1e-3, 1e9)))
    assert test.readings.last_stable is None
    assert "higher last rate" in test.summary


def test_the_median_survives_one_bad_seed_of_three():
    good, bad = valley(1e-3, 0.1), lambda lr: 50.0
    assert read(curve(good), curve(good, seed=1), curve(bad, seed=2)).readings == read(curve(good)).readings


def test_it_ends_where_half_of_the_runs_have_diverged():
    flat = valley(1e-3, 1e9)
    test = read(curve(flat, until=0.01), curve(flat, seed=1, until=0.05), curve(flat, seed=2))
    assert test.diverged == 2
    assert test.points[-1].lr <= 0.05
    assert 0.01 < test.readings.last_stable <= 0.05


def test_a_run_that_goes_on_has_not_diverged_and_gives_no_readings_yet():
    ended, begun = curve(valley(1e-3, 0.1)), curve(valley(1e-3, 0.1), seed=1, until=0.01)
    test = read(ended, replace(begun, running=True))
    assert test.diverged == 0
    assert test.points[-1].lr == begun.points[-1][1]
    assert set(test.readings.model_dump().values()) == {None}
    assert test.summary == "One run has not ended: the readings come when all have."


def test_an_explosion_does_not_hide_the_fall():
    test = read(curve(lambda lr: valley(1e-3, 0.1)(lr) if lr < 0.3 else 1e30))
    assert test.readings.steepest == read(curve(valley(1e-3, 0.1))).readings.steepest


@pytest.mark.parametrize("curves", [[], [SweepCurve(seed=0, points=())]])
def test_runs_that_diverge_at_once_are_said(curves):
    test = read(*curves)
    assert test.points == ()
    assert "lower rate" in test.summary


def test_code_that_hardly_reports_is_told_what_to_do():
    points = ((100, 1e-3, 2.0), (200, 1.0, 1.0))
    assert "run.evaluate_at" in read(SweepCurve(seed=0, points=points)).summary


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"low": 1e-2, "high": 5e-2}, "high"), ({"steps": 5}, "steps"), ({"seeds": 0}, "seeds"), ({"low": 0.0}, "low")],
)
def test_what_makes_no_test_is_refused_by_field(changes, field):
    with pytest.raises(ValidationError, match=field):
        RangeTestSettings(**changes)


@pytest.mark.parametrize("format", RangeTestFormat)
def test_every_format_shows_it(format):
    content = rendered_range_test(read(curve(valley(1e-3, 0.1))), format=format)
    starts = {"json": b"{", "png": b"\x89PNG", "svg": b"<svg xmlns", "html": b"<!doctype html>"}
    assert content.startswith(starts[format.value])


@pytest.mark.parametrize("ascii_only", [False, True])
def test_the_text_has_the_curve_and_says_what_each_reading_is_good_for(ascii_only):
    text = range_test_text(read(curve(valley(1e-3, 0.1))), width=70, ascii_only=ascii_only)
    assert all(words in text for words in ("falls fastest", "Smith's rule", "an upper bound of peaks"))
    assert text.isascii() == ascii_only
    assert max(len(line) for line in text.splitlines()[:13]) <= 70
