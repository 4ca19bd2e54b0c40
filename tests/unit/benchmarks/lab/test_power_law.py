"""Least squares with a power-law spectrum: the recursion is exact, and nothing is better than the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad

from benchmarks.lab.power_law import EASY, HARD, POWER_LAWS, PowerLaw
from tuner.schedules import Cosine, Linear, Polynomial, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration

SMALL = PowerLaw(name="small", capacity=1.5, source=0.6, dimensions=5, total_steps=30, batch_size=2)
SCHEDULE = Schedule(peak_lr=0.5, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.1))


def test_the_recursion_is_the_mean_of_brute_force_runs_after_every_update():
    seeds, generator = 40_000, np.random.default_rng(0)
    errors = np.tile(np.sqrt(SMALL.start), (seeds, 1))
    for rate, expected in zip(SCHEDULE.lrs(30), SMALL.expected_losses(SCHEDULE.lrs(30)), strict=True):
        features = np.sqrt(SMALL.variances) * generator.standard_normal((seeds, SMALL.batch_size, SMALL.dimensions))
        noise = SMALL.noise * generator.standard_normal((seeds, SMALL.batch_size))
        residuals = np.einsum("sbd,sd->sb", features, errors) - noise
        errors -= rate / SMALL.batch_size * np.einsum("sb,sbd->sd", residuals, features)
        losses = (errors**2) @ SMALL.variances
        assert abs(losses.mean() - expected) <= 4.5 * losses.std() / seeds**0.5


def test_one_update_of_one_direction_is_the_closed_form():
    one = PowerLaw(name="one", capacity=2.0, source=1.0, dimensions=1, batch_size=1, noise=0.5)
    # E (1 - r x^2)^2 = 1 - 2 r + 3 r^2, and r^2 E x^2 n^2, for x of variance 1
    assert one.expected_losses([0.2]) == pytest.approx([1.0 - 0.4 + 3 * 0.04 + 0.04 * 0.25])


def test_runs_of_seeds_have_the_expected_loss_in_the_mean_and_repeat():
    gentle = SCHEDULE.model_copy(update={"peak_lr": 0.2})  # at which no run diverges
    configuration = Configuration(schedule=gentle)
    losses = [SMALL.oracle(configuration, 30, seed)[1] for seed in range(600)]
    assert abs(np.mean(losses) - SMALL.expected_loss(gentle)) <= 4.5 * np.std(losses) / 600**0.5
    assert SMALL.oracle(configuration, 30, 5) == SMALL.oracle(configuration, 30, 5)
    short = [SMALL.oracle(configuration, 15, seed)[1] for seed in range(600)]
    assert abs(np.mean(short) - SMALL.expected_loss(gentle, steps=15)) <= 4.5 * np.std(short) / 600**0.5


def test_a_run_at_a_rate_far_above_the_limit_diverges():
    configuration = Configuration(schedule=Schedule(peak_lr=50.0, family=Linear()))
    assert SMALL.oracle(configuration, 30, 0) == ((), None)


def test_the_gradient_is_that_of_finite_differences():
    lrs = SCHEDULE.lrs(30)
    error = check_grad(lambda x: SMALL.loss_and_gradient(x)[0], lambda x: SMALL.loss_and_gradient(x)[1], lrs)
    assert error <= 1e-5 * np.linalg.norm(SMALL.loss_and_gradient(lrs)[1]) + 1e-6


@settings(max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("workload", POWER_LAWS.values(), ids=POWER_LAWS)
def test_no_schedule_of_the_default_space_is_better_than_the_optimum(workload: PowerLaw, data: st.DataObject):
    peak = data.draw(st.floats(*workload.peaks))
    family = data.draw(
        st.one_of(
            st.builds(Polynomial, power=st.floats(0.5, 3.0)),
            st.builds(Wsd, cooldown=st.floats(0.1, 1.0), shape=st.sampled_from(("linear", "1-sqrt"))),
            st.just(Cosine()),
        )
    )
    assert workload.expected_loss(Schedule(peak_lr=peak, family=family)) >= workload.optimum


def test_the_best_shapes_are_those_of_the_theory():
    decay = Polynomial(power=2.0 * EASY.capacity - 1.0)
    hold = Wsd(cooldown=0.4, shape="1-sqrt")

    def best(workload: PowerLaw, family: Polynomial | Wsd) -> float:
        peaks = np.geomspace(*workload.peaks, 12)
        return min(workload.expected_loss(Schedule(peak_lr=float(peak), family=family)) for peak in peaks)

    assert (EASY.is_easy, HARD.is_easy) == (True, False)
    assert best(EASY, decay) < best(EASY, hold)
    assert best(HARD, hold) < best(HARD, decay)
