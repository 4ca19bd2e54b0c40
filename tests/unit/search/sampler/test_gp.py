"""The model on losses that are known: a bowl over the logarithm of the peak and the cooldown."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.search.conftest import NO_OPTIONS
from tuner.errors import InvalidValue
from tuner.schedules import Linear, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.sampler.features import Features
from tuner.search.sampler.gp import Observation, Surrogate, kernel

HORIZON = 5_000
PEAKS = (1e-4, 3e-2)
BEST_PEAK, BEST_COOLDOWN = 2e-3, 0.6


def configuration(peak: float, cooldown: float) -> Configuration:
    warmup = Warmup(shape="linear", fraction=0.05)
    return Configuration(schedule=Schedule(peak_lr=peak, family=Wsd(cooldown=cooldown, shape="linear"), warmup=warmup))


def loss(one: Configuration) -> float:
    family = one.schedule.family
    assert isinstance(family, Wsd)
    assert isinstance(family.cooldown, float)
    return 3.0 + 0.05 * math.log(one.schedule.peak_lr / BEST_PEAK) ** 2 + 0.3 * (family.cooldown - BEST_COOLDOWN) ** 2


GRID = [configuration(peak, cooldown) for peak in np.geomspace(*PEAKS, 13) for cooldown in np.linspace(0.1, 0.9, 9)]


def sampled(count: int, *, seed: int = 0) -> list[Configuration]:
    chosen = np.random.default_rng(seed).choice(len(GRID), count, replace=False)
    return [GRID[index] for index in chosen]


def observed(configurations: list[Configuration], *, steps: int = HORIZON, offset: float = 0.0) -> list[Observation]:
    return [Observation(configuration=one, steps=steps, loss=loss(one) + offset) for one in configurations]


def features(*schedules: Schedule) -> Features:
    configurations = [Configuration(schedule=one) for one in schedules]
    return Features.of(configurations, total_steps=HORIZON, options=NO_OPTIONS)


def fitted(observations: list[Observation]) -> Surrogate:
    return Surrogate(observations, total_steps=HORIZON, peaks=PEAKS, options=NO_OPTIONS)


def test_the_posterior_reproduces_losses_without_noise() -> None:
    seen = sampled(30)

    posterior = fitted(observed(seen)).posterior(seen)

    gaps = np.array([loss(one) for one in seen]) - min(map(loss, seen))
    order = np.argsort(gaps)
    assert np.all(np.diff(posterior.mean_diff[order]) > -0.05)
    assert posterior.mean_diff[order[0]] == pytest.approx(0.0, abs=0.05)
    assert np.corrcoef(np.log1p(gaps / np.median(gaps)), posterior.mean_diff)[0, 1] > 0.99
    assert np.all(posterior.std < 0.05)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_of_a_grid_is_found_after_a_few_runs(seed: int) -> None:
    seen = sampled(3, seed=seed)
    for _ in range(8):
        mean_diff = fitted(observed(seen)).posterior(GRID).mean_diff
        seen.append(next(GRID[index] for index in np.argsort(mean_diff) if GRID[index] not in seen))

    assert min(map(loss, seen)) == min(map(loss, GRID))


def test_shorter_runs_inform_the_horizon_at_any_level_of_their_losses() -> None:
    seen = [*observed(sampled(12), steps=HORIZON // 3, offset=1.0), *observed(sampled(3, seed=1))]

    posterior = fitted(seen).posterior(GRID)

    best = min(map(loss, GRID))
    assert loss(GRID[int(np.argmin(posterior.mean_diff))]) - best < 0.05 * (max(map(loss, GRID)) - best)


def test_the_standard_deviation_grows_with_the_distance_from_tried_configurations() -> None:
    seen = [configuration(peak, cooldown) for peak in (1e-3, 2e-3, 4e-3) for cooldown in (0.5, 0.7)]
    steps_away = [configuration(4e-3 * factor, 0.7) for factor in (1.0, 1.3, 2.0, 4.0, 7.0)]

    deviation = fitted(observed(seen)).posterior(steps_away).std

    assert np.all(np.diff(deviation) > 0.0)


def test_the_order_of_the_runs_does_not_matter() -> None:
    seen = observed(sampled(20))

    one, other = fitted(seen).posterior(GRID), fitted(seen[::-1]).posterior(GRID)

    assert np.allclose(one.mean_diff, other.mean_diff, atol=1e-6)
    assert np.allclose(one.std, other.std, atol=1e-6)


def test_beyond_the_limit_of_runs_the_best_are_fitted() -> None:
    short = observed(GRID, steps=HORIZON // 3)
    both = [*short, *observed(sampled(20))]

    posterior = fitted(both).posterior(GRID)

    assert len(both) > 96
    assert loss(GRID[int(np.argmin(posterior.mean_diff))]) - min(map(loss, GRID)) < 0.02
    assert np.all(np.isfinite(posterior.mean_diff))


def test_equal_losses_leave_nothing_to_choose_between_those_that_were_tried() -> None:
    seen = sampled(20)

    posterior = fitted([Observation(configuration=one, steps=HORIZON, loss=1.0) for one in seen]).posterior(seen)

    assert np.allclose(posterior.mean_diff, 0.0, atol=0.01)
    assert np.all(posterior.std > 0.0)


def test_the_same_schedule_may_have_been_run_twice() -> None:
    twice = [*observed(sampled(5)), *observed(sampled(5))]

    assert np.all(np.isfinite(fitted(twice).posterior(GRID).std))


def test_one_run_is_enough_to_fit() -> None:
    (only,) = sampled(1)

    posterior = fitted(observed([only])).posterior([only, *GRID])

    assert posterior.mean_diff[0] == pytest.approx(0.0, abs=1e-9)
    assert np.all(np.isfinite(posterior.mean_diff))
    assert np.all(posterior.std[posterior.std.argsort()[1:]] > 0.0)


def test_without_any_run_there_is_no_model() -> None:
    with pytest.raises(InvalidValue, match="observations must be at least one"):
        fitted([])


def test_the_kernel_compares_schedules_and_not_their_names() -> None:
    linear, all_cooldown = (
        Schedule(peak_lr=1e-3, family=Linear()),
        Schedule(peak_lr=1e-3, family=Wsd(cooldown=1.0, shape="linear")),
    )
    far = Schedule(peak_lr=1e-1, family=Linear())

    found = kernel(features(linear, far), features(linear, all_cooldown, far))

    assert found.shape == (2, 3)
    assert np.allclose(found[0, :2], 1.0, atol=1e-3)
    assert found[0, 2] < 0.01
    assert np.all((found >= 0.0) & (found <= 1.0))
