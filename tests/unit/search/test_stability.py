from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tuner.search.divergence import p_stable

PEAKS = (1e-4, 1e-1)
GRID = np.geomspace(*PEAKS, 25).tolist()
RATES = st.lists(st.sampled_from(GRID), max_size=5)


def chances(lasted: list[float], diverged: list[float]) -> np.ndarray:
    return p_stable(GRID, lasted=lasted, diverged=diverged, peaks=PEAKS)


@given(lasted=RATES, diverged=RATES)
def test_a_higher_peak_is_never_safer(lasted: list[float], diverged: list[float]) -> None:
    found = chances(lasted, diverged)

    assert np.all(np.diff(found) <= 1e-12)
    assert np.all((found > 0.0) & (found <= 1.0 + 1e-12))


@given(lasted=RATES, diverged=RATES, rate=st.sampled_from(GRID))
def test_a_divergence_lowers_every_chance_and_a_run_that_lasted_raises_every_one(
    lasted: list[float], diverged: list[float], rate: float
) -> None:
    before = chances(lasted, diverged)

    assert np.all(chances(lasted, [*diverged, rate]) <= before + 1e-12)
    assert np.all(chances([*lasted, rate], diverged) >= before - 1e-12)


def test_what_has_lasted_and_what_has_diverged_is_believed() -> None:
    found = dict(zip(GRID, chances([1e-3], [1e-2]), strict=True))

    assert found[min(GRID, key=lambda rate: abs(rate - 3e-4))] > 0.95
    assert found[min(GRID, key=lambda rate: abs(rate - 3e-2))] < 0.1


def test_before_any_run_most_of_the_range_is_likely_to_last() -> None:
    found = chances([], [])

    assert found[0] > 0.95
    assert found[-1] > 0.7


def test_the_order_of_the_runs_does_not_matter() -> None:
    rates = GRID[3:9]

    assert np.allclose(chances(rates, rates), chances(rates[::-1], rates[::-1]))


def test_a_range_of_a_single_peak_has_a_chance_too() -> None:
    (found,) = p_stable([1e-3], lasted=[], diverged=[1e-3], peaks=(1e-3, 1e-3))

    assert 0.0 < found < 1.0
