"""The GP on losses that are known: a bowl over the logarithm of the peak and the cooldown."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.search.conftest import NO_OPTIONS
from tuner.errors import InvalidValue
from tuner.schedules import Cosine, Family, Linear, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.sampler.features import Features
from tuner.search.sampler.gp import Posterior, Surrogate, kernel
from tuner.search.sampler.losses import Observation

Array = NDArray[np.float64]
HORIZON = 5_000
PEAKS = (1e-4, 3e-2)
BEST_PEAK, BEST_COOLDOWN = 2e-3, 0.6


def configuration(peak: float, cooldown: float) -> Configuration:
    return of_family(peak, Wsd(cooldown=cooldown, shape="linear"))


def of_family(peak: float, family: Family) -> Configuration:
    warmup = Warmup(shape="linear", fraction=0.05)
    return Configuration(schedule=Schedule(peak_lr=peak, family=family, warmup=warmup))


def loss(one: Configuration) -> float:
    family = one.schedule.family
    cooldown = family.cooldown if isinstance(family, Wsd) else BEST_COOLDOWN
    assert isinstance(cooldown, float)
    return 3.0 + 0.05 * math.log(one.schedule.peak_lr / BEST_PEAK) ** 2 + 0.3 * (cooldown - BEST_COOLDOWN) ** 2


GRID = [configuration(peak, cooldown) for peak in np.geomspace(*PEAKS, 13) for cooldown in np.linspace(0.1, 0.9, 9)]


def sampled(count: int, *, seed: int = 0) -> list[Configuration]:
    chosen = np.random.default_rng(seed).choice(len(GRID), count, replace=False)
    return [GRID[index] for index in chosen]


def observed(
    configurations: list[Configuration], *, seeds: int = 1, noise: float = 0.0, std: float = 0.0
) -> list[Observation]:
    """Runs on the first seeds; ``noise`` is the standard deviation that no two runs share."""
    rng = np.random.default_rng(len(configurations))
    return [
        Observation(configuration=one, seed=seed, loss=loss(one) + noise * rng.normal(), std=std)
        for seed in range(seeds)
        for one in configurations
    ]


def features(*schedules: Schedule) -> Features:
    configurations = [Configuration(schedule=one) for one in schedules]
    return Features.of(configurations, total_steps=HORIZON, options=NO_OPTIONS)


def fitted(observations: list[Observation], *, one_seed: bool = False) -> Surrogate:
    return Surrogate(observations, total_steps=HORIZON, peaks=PEAKS, options=NO_OPTIONS, one_seed=one_seed)


def differences(found: Posterior) -> Array:
    """``[n, n]``, variances of the differences between expected z of the references."""
    cov = found.cov[-found.cov.shape[1] :]
    var: Array = np.diag(cov)[:, None] + np.diag(cov)[None, :] - 2.0 * cov
    return var


class TestMean:
    def test_it_reproduces_losses_without_noise(self) -> None:
        seen = sampled(30)
        model = fitted(observed(seen))

        mean = model.posterior((), references=seen).mean

        z = model.scale.compress(np.array([loss(one) for one in seen]))
        assert np.corrcoef(z, mean)[0, 1] > 0.99
        assert mean[np.argsort(z)[:10]] == pytest.approx(np.sort(z)[:10], abs=0.1)

    @pytest.mark.parametrize("seed", range(4))
    def test_the_best_of_a_grid_is_found_after_a_few_runs(self, seed: int) -> None:
        seen = sampled(3, seed=seed)
        for _ in range(10):
            mean = fitted(observed(seen)).posterior(GRID).mean
            seen.append(next(GRID[index] for index in np.argsort(mean[: len(GRID)]) if GRID[index] not in seen))

        assert min(map(loss, seen)) == min(map(loss, GRID))

    def test_families_learn_from_each_other(self) -> None:
        peaks = np.geomspace(*PEAKS, 9)
        linear = [of_family(float(peak), Linear()) for peak in peaks]
        cosine = [of_family(float(peak), Cosine()) for peak in peaks]

        alone = fitted(observed(linear[:1])).posterior(cosine)
        learned = fitted(observed(linear)).posterior(cosine)

        mean = learned.mean[: len(cosine)]
        assert abs(math.log(peaks[int(np.argmin(mean))] / BEST_PEAK)) < 1.0
        assert (learned.var[: len(cosine)] < alone.var[: len(cosine)]).all()

    def test_the_order_of_the_runs_does_not_matter(self) -> None:
        seen = observed(sampled(20), seeds=2, noise=0.01)

        one, other = (fitted(some).posterior((), references=GRID[:40]) for some in (seen, seen[::-1]))

        assert np.allclose(one.mean, other.mean, atol=1e-6)
        assert np.allclose(one.cov, other.cov, atol=1e-6)

    def test_a_forecast_counts_less_than_a_loss(self) -> None:
        seen = observed(sampled(8))
        surprise = configuration(1.1e-3, 0.3)

        def after(std: float) -> Posterior:
            row = Observation(configuration=surprise, seed=0, loss=loss(surprise) + 0.5, std=std)
            return fitted([*seen, row]).posterior((), references=[surprise])

        measured, forecast, guessed = after(0.0), after(0.1), after(10.0)
        assert measured.mean[0] > forecast.mean[0] > guessed.mean[0]

    def test_a_shift_of_all_runs_on_a_seed_changes_no_difference_much(self) -> None:
        seen = sampled(12)
        runs = observed(seen, seeds=2, noise=0.003)
        unit = fitted(runs).scale.unit
        shifted = [
            Observation(configuration=one.configuration, seed=one.seed, loss=one.loss + 0.3 * unit * one.seed)
            for one in runs
        ]

        one, other = (fitted(some).posterior((), references=seen).mean for some in (runs, shifted))

        gaps = [mean - mean.min() for mean in (one, other)]
        assert np.abs(gaps[0] - gaps[1]).max() < 0.15 * gaps[0].max()
        assert np.argmin(one) == np.argmin(other)

    def test_equal_losses_leave_nothing_to_choose_between_those_that_were_tried(self) -> None:
        seen = sampled(20)
        found = fitted([Observation(configuration=one, seed=0, loss=1.0) for one in seen]).posterior(
            (), references=seen
        )

        assert np.ptp(found.mean) < 0.05
        assert np.all(found.var > 0.0)

    def test_beyond_the_limit_of_runs_the_best_are_fitted(self) -> None:
        model = fitted(observed(GRID))
        assert len(GRID) > 96 >= len(model.observed)

        mean = model.posterior(GRID).mean[: len(GRID)]

        assert np.isfinite(mean).all()
        assert min(map(loss, GRID)) == min(map(loss, model.observed))
        assert loss(GRID[int(np.argmin(mean))]) - min(map(loss, GRID)) < 0.02


class TestCovariance:
    @hypothesis_settings(max_examples=25)
    @given(
        chance=st.integers(0, 2**32),
        count=st.integers(1, 12),
        seeds=st.integers(1, 3),
        noise=st.sampled_from((0.0, 0.01, 0.3)),
    )
    def test_it_is_symmetric_and_positive_semidefinite(self, chance: int, count: int, seeds: int, noise: float) -> None:
        seen, others = sampled(count, seed=chance), sampled(5, seed=chance + 1)
        found = fitted(observed(seen, seeds=seeds, noise=noise)).posterior(others, references=[*seen, *others])

        own = found.cov[5:]
        assert np.allclose(own, own.T, atol=1e-9)
        assert np.linalg.eigvalsh(own).min() > -1e-8
        assert np.allclose(np.diag(own), found.var[5:], atol=1e-9)
        # The same configurations, once asked for and once as references.
        assert np.allclose(found.cov[:5], own[count:], atol=1e-9)
        assert (np.square(found.run_own) <= found.run_var * found.var * (1.0 + 1e-6)).all()

    def test_the_standard_deviation_grows_with_the_distance_from_tried_configurations(self) -> None:
        seen = [configuration(peak, cooldown) for peak in (1e-3, 2e-3, 4e-3) for cooldown in (0.5, 0.7)]
        steps_away = [configuration(4e-3 * factor, 0.7) for factor in (1.0, 1.3, 2.0, 4.0, 7.0)]

        var = fitted(observed(seen)).posterior(steps_away).var[: len(steps_away)]

        assert np.all(np.diff(var) > 0.0)

    def test_more_runs_leave_less_variance(self) -> None:
        seen = sampled(6)
        few, more, many = (
            differences(fitted(observed(seen, seeds=seeds, noise=0.02)).posterior((), references=seen))
            for seeds in (1, 3, 9)
        )
        apart = ~np.eye(len(seen), dtype=np.bool_)
        assert (few[apart] > more[apart]).all()
        assert (more[apart] > many[apart]).all()

    def test_a_second_seed_shows_more_of_a_difference_than_the_first_one_again(self) -> None:
        seen = sampled(2, seed=5)
        once = observed(seen, noise=0.02)
        same = [Observation(configuration=one.configuration, seed=0, loss=one.loss + 0.01) for one in once]
        fresh = [Observation(configuration=one.configuration, seed=1, loss=one.loss + 0.01) for one in once]

        found = [differences(fitted(runs).posterior((), references=seen))[0, 1] for runs in (once + same, once + fresh)]

        assert found[1] < found[0]

    def test_on_one_seed_alone_nothing_is_noise(self) -> None:
        seen = sampled(12)
        found = fitted(observed(seen), one_seed=True).posterior((), references=seen)
        usual = fitted(observed(seen)).posterior((), references=seen)

        assert found.noise == found.shift == 0.0
        assert usual.noise > 0.0
        assert differences(found).max() < differences(usual).max()

    def test_the_noise_over_seeds_is_learned_from_replicates(self) -> None:
        calm, noisy = (fitted(observed(sampled(6), seeds=4, noise=noise)).posterior() for noise in (1e-3, 0.1))
        assert calm.noise < 0.1 * noisy.noise
        assert noisy.shift > noisy.noise


class TestNextRuns:
    def test_a_run_on_a_seed_that_others_share_shows_less_of_the_level(self) -> None:
        seen = sampled(6)
        model = fitted(observed(seen, noise=0.02))
        shared, fresh = (model.posterior(GRID[:3], references=seen, seeds=[seed] * 9) for seed in (0, 7))

        assert (shared.run_var[:3] < fresh.run_var[:3]).all()
        assert np.array_equal(shared.mean, fresh.mean)
        assert np.array_equal(shared.cov, fresh.cov)

    def test_the_next_run_of_a_configuration_varies_more_than_its_expectation(self) -> None:
        found = fitted(observed(sampled(6), seeds=2, noise=0.02)).posterior(GRID[:5])
        assert (found.run_var > found.var).all()


class TestProbabilityOfBeingBetter:
    @hypothesis_settings(max_examples=25)
    @given(chance=st.integers(0, 2**32), seeds=st.integers(1, 3), noise=st.sampled_from((0.0, 0.01, 0.3)))
    def test_of_two_references_one_is_better(self, chance: int, seeds: int, noise: float) -> None:
        seen = sampled(6, seed=chance)
        found = fitted(observed(seen, seeds=seeds, noise=noise)).posterior((), references=seen)
        p = np.stack([found.p_better(place) for place in range(6)])
        assert ((p >= 0.0) & (p <= 1.0)).all()
        assert np.allclose(p + p.T, 1.0, atol=1e-9)
        assert np.diag(p) == pytest.approx(0.5)

    def test_it_is_nearly_sure_of_what_runs_have_shown_and_undecided_on_what_they_have_not(self) -> None:
        seen = [configuration(BEST_PEAK, 0.6), configuration(3e-2, 0.6), configuration(BEST_PEAK, 0.61)]
        found = fitted(observed(seen, seeds=3, noise=0.001)).posterior((), references=seen)
        assert found.p_better(1)[0] > 0.99
        assert 0.1 < found.p_better(2)[0] < 0.9

    def test_the_models_explain_the_mean_and_the_covariance_together(self) -> None:
        seen = sampled(6)
        model = fitted(observed(seen, seeds=2, noise=0.02))
        found = model.posterior(GRID[:2], references=seen)
        apart = found.model_means - np.average(found.model_means, axis=0, weights=found.weights)
        covs = found.model_covs + apart[:, :, None] * apart[:, None, :]
        assert found.weights.sum() == pytest.approx(1.0)
        assert np.allclose(np.average(covs, axis=0, weights=found.weights), found.cov[2:], atol=1e-9)


def test_one_run_is_enough_to_fit() -> None:
    (only,) = sampled(1)

    found = fitted(observed([only])).posterior(GRID, references=[only])

    assert np.isfinite(found.mean).all()
    assert (found.var > 0.0).all()


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
