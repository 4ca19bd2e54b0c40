from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tuner.search.divergence import p_stable

PEAKS = (1e-4, 1e-1)
GRID = np.geomspace(*PEAKS, 25).tolist()
RATES = st.lists(st.sampled_from(GRID), max_size=5)


def probabilities(stable: list[float], diverged: list[float]) -> np.ndarray:
    return p_stable(GRID, stable=stable, diverged=diverged, peaks=PEAKS)


@given(stable=RATES, diverged=RATES)
def test_a_higher_peak_is_never_safer(stable: list[float], diverged: list[float]) -> None:
    found = probabilities(stable, diverged)

    assert np.all(np.diff(found) <= 1e-12)
    assert np.all((found > 0.0) & (found <= 1.0 + 1e-12))


@given(stable=RATES, diverged=RATES, rate=st.sampled_from(GRID))
def test_a_divergence_lowers_every_probability_and_a_stable_run_raises_it(
    stable: list[float], diverged: list[float], rate: float
) -> None:
    before = probabilities(stable, diverged)

    assert np.all(probabilities(stable, [*diverged, rate]) <= before + 1e-12)
    assert np.all(probabilities([*stable, rate], diverged) >= before - 1e-12)


def test_peaks_beyond_a_stable_and_a_diverged_run_follow_them() -> None:
    found = dict(zip(GRID, probabilities([1e-3], [1e-2]), strict=True))

    assert found[min(GRID, key=lambda rate: abs(rate - 3e-4))] > 0.95
    assert found[min(GRID, key=lambda rate: abs(rate - 3e-2))] < 0.1


def test_before_any_run_most_of_the_range_is_likely_to_be_stable() -> None:
    found = probabilities([], [])

    assert found[0] > 0.95
    assert found[-1] > 0.7


def test_the_order_of_the_runs_does_not_matter() -> None:
    rates = GRID[3:9]

    assert np.allclose(probabilities(rates, rates), probabilities(rates[::-1], rates[::-1]))


def test_a_range_of_a_single_peak_has_a_probability_too() -> None:
    (found,) = p_stable([1e-3], stable=[], diverged=[1e-3], peaks=(1e-3, 1e-3))

    assert 0.0 < found < 1.0
