"""The fit of the scaling laws: its least squares, its stretching, and what it recovers."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import nnls

from tuner.schedules import Cosine, Family, Schedule, Sgdr, Step, Warmup, Wsd
from tuner.schedules.lengths import MAX_STEPS
from tuner.search.worth.scaling_law import Evaluations, Rates, ScalingLaws, fit, non_negative

STEPS = 1000
LRS = [
    Schedule(peak_lr=peak, family=family, warmup=Warmup(shape="linear", fraction=0.05)).lrs(STEPS)
    for family in (Cosine(), Wsd(cooldown=0.2, shape="linear"))
    for peak in (0.1, 0.2)
]
LAW = ScalingLaws(
    horizon=STEPS,
    usual_rate=0.15,
    grid=np.array([[1.0, 0.03, 0.5]]),
    coefficients=np.array([[2.0, 0.3, 0.2]]),
    weights=np.ones(1),
    explained=1.0,
    residual_std=0.0,
)


def run(lrs: np.ndarray, *, noise: float = 0.0, seed: int = 0) -> Evaluations:
    steps = np.arange(100, len(lrs) + 1, 50)
    rates = Rates.of(lrs, steps=steps.tolist())
    exact = Evaluations(rates=rates, steps=steps.astype(np.float64), losses=np.empty(0))
    losses = LAW.losses(exact) + noise * np.random.default_rng(seed).standard_normal(len(steps))
    return Evaluations(rates=rates, steps=exact.steps, losses=losses)


@given(
    columns=arrays(np.float64, (4, 6, 3), elements=st.floats(0.0, 3.0).map(lambda x: round(x, 3))),
    values=arrays(np.float64, 6, elements=st.floats(0.1, 3.0)),
)
@settings(max_examples=50, deadline=None)
def test_many_small_least_squares_at_once_are_as_good_as_scipys_one_by_one(
    columns: np.ndarray, values: np.ndarray
) -> None:
    solved, squares = non_negative(columns, values)
    assert (solved >= 0.0).all()
    for one, coefficients, rest in zip(columns, solved, squares, strict=True):
        assert rest == pytest.approx(nnls(one, values)[1] ** 2, abs=1e-4)
        assert rest == pytest.approx(np.square(values - one @ coefficients).sum(), abs=1e-6)


def test_the_law_of_exact_curves_is_recovered() -> None:
    laws = fit([run(lrs) for lrs in LRS], horizon=STEPS)
    assert laws.explained == pytest.approx(1.0, abs=1e-5)
    (best,) = laws.grid[laws.weights == laws.weights.max()]
    assert best == pytest.approx([1.0, 0.03, 0.5])
    assert laws.coefficients[laws.weights.argmax()][0] == pytest.approx(2.0, rel=0.01)


def test_noise_leaves_more_laws_probable() -> None:
    exact = fit([run(lrs) for lrs in LRS], horizon=STEPS)
    noisy = fit([run(lrs, noise=0.05, seed=seed) for seed, lrs in enumerate(LRS)], horizon=STEPS)
    assert len(noisy.weights) > len(exact.weights)
    assert noisy.explained < exact.explained
    assert noisy.residual_std == pytest.approx(0.05, rel=0.4)


@pytest.mark.parametrize("stretch", [0.5, 1.0, 2.0, 3.0])
def test_a_stretched_schedule_ends_where_the_run_of_that_length_ends(stretch: float) -> None:
    cosine = Schedule(peak_lr=0.1, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.05))
    steps = round(stretch * STEPS)
    longer = Rates.of(cosine.lrs(steps))
    run_of_length = Evaluations(rates=longer, steps=longer.edges[-1:], losses=np.empty(0))
    (found,) = LAW.end_losses(Rates.of(cosine.lrs(STEPS)), stretches=np.array([stretch])).ravel()
    assert found == pytest.approx(LAW.losses(run_of_length)[0], rel=1e-3)


def test_blocks_preserve_the_sum_of_the_rates() -> None:
    rates = Rates.of(LRS[0], steps=(333, 777))
    assert {333.0, 777.0} <= set(rates.edges)
    assert rates.means @ np.diff(rates.edges) == pytest.approx(LRS[0].sum())


@pytest.mark.parametrize("steps", [1, 3, 50])
def test_runs_shorter_than_the_number_of_blocks_have_a_block_a_step(steps: int) -> None:
    assert Rates.of(np.full(steps, 0.1)).edges.tolist() == list(range(steps + 1))


@pytest.mark.parametrize("family", [Cosine(), Wsd(cooldown=0.2), Step(gamma=0.5, every=0.013), Sgdr(cycles=7)])
def test_the_blocks_of_a_long_run_are_those_of_all_its_rates_nearly(family: Family):
    schedule = Schedule(peak_lr=0.1, family=family)
    sampled = Rates.of_schedule(schedule, total_steps=150_000, steps=[7, 1000, 75_001])
    exact = Rates.of(schedule.lrs(150_000), steps=[7, 1000, 75_001])
    assert np.array_equal(sampled.edges, exact.edges)
    assert np.abs(sampled.means - exact.means).max() < schedule.peak_lr / 64  # a jump within a block is off by a sample


def test_the_blocks_of_the_longest_run_take_little_memory():
    tracemalloc.start()
    Rates.of_schedule(Schedule(peak_lr=0.1, family=Cosine()), total_steps=MAX_STEPS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23  # all rates would be 800 MB
