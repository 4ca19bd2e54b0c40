from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from tuner.report.stats import paired_difference, spread

LOSSES = st.floats(min_value=-1e6, max_value=1e6)
PAIRS = st.lists(st.tuples(LOSSES, LOSSES), min_size=2, max_size=20)


def test_three_pairs_give_the_interval_of_the_t_table():
    # Differences 0.1, 0.2, 0.3: mean 0.2, sample deviation 0.1; t(97.5 %, 2 degrees) = 4.302653 in every printed table.
    difference = paired_difference([1.1, 2.2, 3.3], [1.0, 2.0, 3.0])
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert difference.mean == pytest.approx(0.2)
    assert difference.low == pytest.approx(0.2 - half, rel=1e-6)
    assert difference.high == pytest.approx(0.2 + half, rel=1e-6)


def test_students_own_example_is_reproduced():
    # Extra hours of sleep of ten patients under two drugs: Student (1908), table I. Mean difference 1.58, t = 4.06.
    first = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    second = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    difference = paired_difference(first, second)
    assert difference.mean == pytest.approx(1.58)
    assert difference.low is not None
    standard_error = (difference.mean - difference.low) / 2.262157  # t(97.5 %, 9 degrees)
    assert difference.mean / standard_error == pytest.approx(4.06, abs=0.005)


@settings(max_examples=50, deadline=None)
@given(PAIRS)
def test_the_interval_is_the_one_of_scipys_paired_t_test(pairs):
    first, second = zip(*pairs, strict=True)
    differences = np.subtract(first, second)
    if np.std(differences) <= 1e-9 * np.max(np.abs(differences)):
        return  # scipy warns of lost precision where the differences are equal
    expected = scipy_stats.ttest_rel(first, second).confidence_interval(0.95)
    found = paired_difference(first, second)
    scale = float(np.max(np.abs(differences)))
    assert found.low == pytest.approx(expected.low, rel=1e-9, abs=1e-9 * scale)
    assert found.high == pytest.approx(expected.high, rel=1e-9, abs=1e-9 * scale)


@settings(max_examples=50, deadline=None)
@given(PAIRS)
def test_the_interval_contains_the_mean_and_turns_with_the_pair(pairs):
    first, second = zip(*pairs, strict=True)
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert there.low is not None
    assert there.high is not None
    assert there.low <= there.mean <= there.high
    assert (back.mean, back.low, back.high) == pytest.approx((-there.mean, -there.high, -there.low))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(loc=0.3, scale=1.0, size=(4_000, 5))
    intervals = [paired_difference(draw.tolist(), [0.0] * 5) for draw in draws]
    covered = sum(found.low <= 0.3 <= found.high for found in intervals) / len(intervals)
    assert covered == pytest.approx(0.95, abs=0.01)


def test_one_pair_has_a_mean_and_no_interval():
    difference = paired_difference([0.5], [0.2])
    assert difference.mean == pytest.approx(0.3)
    assert difference.low is None
    assert difference.high is None


def test_equal_differences_have_an_interval_of_no_width():
    difference = paired_difference([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    assert (difference.low, difference.mean, difference.high) == (1.0, 1.0, 1.0)


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        paired_difference([1.0, 2.0], [1.0])


def test_a_diverged_seed_makes_the_mean_infinite_and_moves_the_median():
    found = spread([0.3, math.inf, 0.1, 0.2])
    assert (found.median, found.mean, found.low, found.high) == (0.25, math.inf, 0.1, math.inf)
