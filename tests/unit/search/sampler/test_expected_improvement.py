"""The logarithm of the expected improvement, against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from tuner.search.sampler.expected_improvement import log_ei

FAR = 1e4


def one(mean: float) -> float:
    return float(log_ei(np.array([mean]))[0])


@pytest.mark.parametrize("mean", [-5.9, -4.0, -2.0, -0.5, 0.0, 0.7, 3.0, 12.0])
def test_it_is_the_expected_positive_part_of_a_normal_variable(mean: float) -> None:
    expected, _ = quad(lambda x: x * norm.pdf(x - mean), 0.0, max(mean, 0.0) + 12.0, epsabs=0.0)
    assert math.exp(one(mean)) == pytest.approx(expected, rel=1e-6)


@given(mean=st.floats(-30.0, -6.5))
def test_in_the_tail_it_lies_between_the_bounds_of_its_asymptotic_series(mean: float) -> None:
    # EI = density / mean^2 (1 - 3 / mean^2 + ...): an alternating series, whose partial sums enclose it.
    upper = float(norm.logpdf(mean)) - 2.0 * math.log(-mean)
    assert upper + math.log1p(-3.0 / mean**2) - 1e-9 <= one(mean) <= upper + 1e-9


@given(mean=st.floats(-FAR, 1e3), more=st.floats(1e-3, 10.0))
def test_a_larger_mean_improves_more_also_where_the_improvement_underflows(mean: float, more: float) -> None:
    assert -math.inf < one(mean) < one(mean + more)


@given(mean=st.floats(10.0, 1e6))
def test_far_ahead_the_improvement_is_the_mean(mean: float) -> None:
    assert one(mean) == pytest.approx(math.log(mean), rel=1e-9)


def test_it_keeps_the_shape_of_its_argument() -> None:
    assert log_ei(np.zeros((2, 3))).shape == (2, 3)
    assert log_ei(np.zeros(0)).shape == (0,)
