"""A Gaussian process (GP) over configurations of every family, fitted to all runs of a study.

The GP compares schedules by their peak rate, their warm-up and their curve, not by the parameters of their family, so
that families learn from each other. Convex theory (`tuner.search.sampler.convex_bound`) gives the prior mean. The loss
of a configuration x in a run on seed s, on a scale that compresses bad losses, is::

    z(x, s) = offset + beta bound(x) + gamma log cosh(peak(x) - x0) + sum of g_i(option i) + f(x)
              + b(s) + h(x, s) + noise

Offset, beta and gamma are Gaussian; each g_i is a GP over one searched option; f is a GP over peak, curve, warm-up and
all options. A seed shifts all of its runs alike (b), and similar configurations similarly (h, a GP with the kernel of
f for each seed): runs on one seed compare well, yet what they show in common may be that seed's alone. All this is
integrated out exactly. The others (x0, the variances of f and of h) are averaged over a grid of models, each weighted
by its evidence. docs/benchmarks.md says how the constants were chosen.

Notation, with n configurations to predict, m observed runs of u configurations, p values of x0, g models:

=================  ==============  ===========  =======================================================================
symbol             in the code     shape        meaning
=================  ==============  ===========  =======================================================================
z                  z               [m]          compressed loss: 0 for the best configuration, logarithmic far from it
s^2                variance        scalar       variance of z, which all prior variances are multiples of
bound(x), peak(x)  bound, peak     [n]          relative to the best of convex theory (`tuner.search.sampler.features`)
x0                 x0_grid         [p]          where the best peaks of this workload lie
log cosh(...)      penalty         [p or g, n]  what a peak away from the best costs, before gamma
k(x, x')           kernel          [n, m]       prior correlation of f
K                  cov             [g, m, m]    prior covariance of z over the runs, noise included
L                  chol            [g, m, m]    lower Cholesky factor: K = L L^T
L^-1 (z - mu)      white_z         [g, m]       whitened residuals; alpha = K^-1 (z - mu) itself is not needed
K(X, x)            cov_cross       [g, m, n]    prior covariance between the runs and configurations
L^-1 K(X, x)       white_cross     [g, m, n]    whitened, so that the posterior mean and variance are inner products
sigma_f^2 / s^2    signal          [g]          variance of f, in variances of z
sigma_h^2          noise           [g]          variance of h
p(model | z)       weights         [g]          posterior weights of the models
=================  ==============  ===========  =======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tuner.errors import InvalidValue
from tuner.schedules import Linear, Schedule
from tuner.search.configuration import Configuration
from tuner.search.sampler.features import Features
from tuner.search.sampler.losses import LossScale, Observation
from tuner.search.sampler.options import SearchedOptions

Array = NDArray[np.float64]

_PEAK_SCALE: Final = 1.0
_CURVE_SCALE: Final = 0.3
_WARMUP_SCALE: Final = 1.5
"""Length scales of f: a factor e of the peak, a third of the peak over the whole curve, a factor 4.5 of the warm-up."""
_BETA: Final = (4.0, 4.0)
_GAMMA: Final = (1.0, 1.0)
"""Prior mean and standard deviation, in standard deviations of z."""
_OFFSET: Final = 0.8
_OPTION: Final = 2.0
"""Prior variances of offset and each g_i, in variances of z."""
_SHIFT: Final = 3.0
"""Variance of b, in variances of h."""
_RESIDUAL: Final = (0.0005, 0.1)
"""Variance of the noise: in variances of z, and in variances of h."""
_X0_POINTS: Final = 21
"""Values of x0, evenly over the range of the peaks."""
_X0_STD: Final = 0.35
"""Prior standard deviation of x0 around the middle of that range, in widths of it."""
_SIGNALS: Final = (0.02, 0.1, 0.4, 2.0)
"""Variances of f, in variances of z."""
_NOISES: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Variances of h, in squared units of z: of the median gap to the best, since bad schedules say nothing of it."""
_NOISE_WEIGHTS: Final = (0.2, 0.2, 0.15, 0.15, 0.1, 0.1, 0.07, 0.03)
"""Their prior weights: runs on one seed cannot show them."""
_MAX_RUNS: Final = 96
"""Runs that the GP is fitted to at most. A run far from the best says little about it."""
_MAX_MODELS: Final = 64
"""Models that the posterior averages over, at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """Joint posterior of the expected z of n configurations and u references, and of z in a next run of each.

    The expectation is over seeds; the references are the last u rows.
    """

    mean: Array
    """``[n + u]``, expected z."""
    cov: Array
    """``[n + u, u]``, covariance of expected z with that of the references."""
    var: Array
    """``[n + u]``, variance of expected z; of the references, the diagonal of the last u rows of ``cov``."""
    run_cov: Array
    """``[n + u, u]``, covariance of z in the next run with expected z of the references."""
    run_own: Array
    """``[n + u]``, covariance of z in the next run with expected z of the same configuration."""
    run_var: Array
    """``[n + u]``, variance of z in the next run."""
    noise: float
    """Variance of h: of z over seeds beside what all configurations have in common."""
    shift: float
    """Variance of b: of what all configurations on a seed have in common."""
    weights: Array
    """``[g]``, of the models that the posterior is a mixture of; the sum is 1."""
    model_means: Array
    """``[g, u]``, expected z of the references by model."""
    model_covs: Array
    """``[g, u, u]``, its covariance by model."""

    def p_better(self, than: int) -> Array:
        """``[u]``, the probability that expected z of a reference is below that of another one.

        Of the mixture of models, whose tails are heavier than a normal distribution's: some models have little noise
        over seeds, others much.

        Args:
            than: Index of the other reference.

        Returns:
            In [0, 1]; one half for the reference itself.
        """
        ahead = self.model_means[:, [than]] - self.model_means
        own = np.diagonal(self.model_covs, axis1=1, axis2=2)
        var = own + own[:, [than]] - 2.0 * self.model_covs[:, :, than]
        # The weights sum to 1 up to rounding.
        p: Array = np.minimum(self.weights @ ndtr(ahead / np.sqrt(np.maximum(var, 1e-12))), 1.0)
        return p


@dataclass(frozen=True, kw_only=True, eq=False)
class _Prediction:
    """What each model says of n values of z. The covariance of their mixture is the models' mean, and that of means."""

    white: Array
    """``[g, m, n]``, whitened prior covariance with the runs."""
    means: Array
    """``[g, n]``, expected values."""
    apart: Array
    """``[g, n]``, their distances from the mean over the models."""

    def since(self, first: int) -> _Prediction:
        """The values from ``first`` on."""
        return _Prediction(white=self.white[:, :, first:], means=self.means[:, first:], apart=self.apart[:, first:])

    def cov(self, other: _Prediction, *, prior: Array) -> Array:
        """``[g, n, k]``, each model's covariance with ``k`` other values."""
        cov: Array = prior - np.swapaxes(self.white, 1, 2) @ other.white
        return cov

    def cov_of_models(self, other: _Prediction) -> Array:
        """``[g, n, k]``, what the models' disagreement about the means adds to it."""
        cov: Array = self.apart[:, :, None] * other.apart[:, None, :]
        return cov

    def total_own_cov(self, other: _Prediction, *, prior: Array) -> Array:
        """``[g, n]``, the sum of both, of each value with the other one of its place."""
        cov: Array = prior - np.sum(self.white * other.white, axis=1) + self.apart * other.apart
        return cov


class Surrogate:
    """The GP, fitted to runs.

    Args:
        observations: At least one.
        total_steps: The horizon.
        peaks: Lowest and highest peak rate of the search.
        options: The searched options.
        one_seed: Whether the loss on the one seed of all runs is what counts, its effect included.

    Raises:
        InvalidValue: There are no observations.
    """

    def __init__(
        self,
        observations: Sequence[Observation],
        *,
        total_steps: int,
        peaks: tuple[float, float],
        options: SearchedOptions,
        one_seed: bool = False,
    ) -> None:
        if not observations:
            raise InvalidValue("observations", value=0, allowed="at least one")
        self._total_steps, self._options = total_steps, options
        noises = (0.0,) if one_seed else _NOISES
        self._variances = tuple((signal, noise) for signal in _SIGNALS for noise in noises)
        self._log_noises = np.zeros(1) if one_seed else np.log(_NOISE_WEIGHTS)
        fitted = sorted(observations, key=lambda one: one.loss)[:_MAX_RUNS]
        self.observed = tuple(dict.fromkeys(one.configuration for one in fitted))
        """The configurations of the runs, without repetition."""
        self.scale = LossScale.of(fitted)
        self._runs = self._features([one.configuration for one in fitted])
        self._seeds = np.array([one.seed for one in fitted])
        losses = np.array([one.loss for one in fitted])
        z = self.scale.compress(losses)
        self._variance = max(float(z.var()), 0.05)
        # A forecast's error is an independent part of the noise of its run.
        self._forecast_var = np.square(np.array([one.std for one in fitted]) / self.scale.slope(z))
        unit = Configuration(schedule=Schedule(peak_lr=1.0, family=Linear()), options=options.usual)
        self._x0_grid, log_prior = _model_grid(peaks, unit_peak=float(self._features([unit]).peak[0]))
        self._mean_z = float(z.mean())
        self._fit(z - self._mean_z, log_prior=log_prior)

    def _fit(self, z: Array, *, log_prior: Array) -> None:
        """Condition every model of the grid on the runs, and weight it by its evidence."""
        penalty = self._penalty(self._runs)
        chol = np.linalg.cholesky(self._cov(penalty))
        residuals = np.tile(z - self._prior_mean(self._runs, penalty), (len(self._variances), 1))
        white_z = np.linalg.solve(chol, residuals[:, :, None])[:, :, 0]
        # log N(z | mu, K) without its constant: the determinant of K is the squared product of the diagonal of L.
        log_evidence = -0.5 * np.sum(np.square(white_z), axis=1)
        log_evidence -= np.sum(np.log(np.diagonal(chol, axis1=1, axis2=2)), axis=1)
        log_evidence += np.tile(log_prior, len(self._variances))
        log_evidence += np.repeat(np.tile(self._log_noises, len(_SIGNALS)), len(log_prior))
        weights = np.exp(log_evidence - log_evidence.max())
        weights /= weights.sum()
        # A prediction costs as much as its models. They are drawn at equal distances along the sum of the weights, so
        # that each kind of model has its share: the largest weights alone would leave out those with much noise, which
        # are many, each with a small weight, while the runs are few.
        along = (np.arange(_MAX_MODELS) + 0.5) / _MAX_MODELS
        drawn = np.searchsorted(np.cumsum(weights), along * (1.0 - 1e-12))
        models, count = np.unique(drawn, return_counts=True)
        self._weights = count / _MAX_MODELS
        self._chol, self._white_z = chol[models], white_z[models]
        variances, self._points = np.divmod(models, len(self._x0_grid))
        self._signal, self._noise = np.array(self._variances)[variances].T

    def _cov(self, penalty: Array) -> Array:
        """``[g, m, m]``, prior covariance of z over the runs, noise included."""
        runs, count = self._runs, len(self._seeds)
        # What does not depend on the variances of f and of the noise is the same for all pairs of them.
        common = self._variance * (
            _BETA[1] ** 2 * np.outer(runs.bound, runs.bound)
            + _GAMMA[1] ** 2 * penalty[:, :, None] * penalty[:, None, :]
            + _OFFSET
            + _OPTION * self._options.correlation_sum(runs.options, runs.options)
        )
        common += np.diag(self._forecast_var)
        correlation = kernel(runs, runs)
        by_seed = (correlation + _SHIFT) * np.equal.outer(self._seeds, self._seeds) + _RESIDUAL[1] * np.eye(count)
        common += self._variance * _RESIDUAL[0] * np.eye(count)
        return np.concatenate(
            [common + self._variance * signal * correlation + noise * by_seed for signal, noise in self._variances]
        )

    def posterior(
        self,
        configurations: Sequence[Configuration] = (),
        *,
        references: Sequence[Configuration] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Posterior:
        """Predict the expected z of configurations at the horizon, and z in a next run of each.

        Args:
            configurations: Any number, `observed` ones included.
            references: Those with which the covariances are wanted; `observed` when absent.
            seeds: Of the next runs, those of the references last; seeds that no run has when absent.
        """
        rows = self._features(configurations).joined(self._features(references or self.observed))
        first = len(configurations)
        penalty = self._penalty(rows)[self._points]
        expected, run = self._predictions(rows, penalty, seeds=seeds)
        later = expected.since(first)
        prior_cov, prior_var = self._prior_cov(rows, penalty, first=first), self._prior_var(rows, penalty)
        model_cov = expected.cov(later, prior=prior_cov)
        seed_var = self._variance * _RESIDUAL[0] + (1.0 + _SHIFT + _RESIDUAL[1]) * self._noise[:, None]
        var = self._averaged(expected.total_own_cov(expected, prior=prior_var))
        run_var = self._averaged(run.total_own_cov(run, prior=prior_var + seed_var))
        noise = float(self._averaged(self._noise))
        return Posterior(
            mean=self._averaged(expected.means) + self._mean_z,
            cov=self._averaged(model_cov + expected.cov_of_models(later)),
            var=np.maximum(var, 1e-12),
            run_cov=self._averaged(run.cov(later, prior=prior_cov) + run.cov_of_models(later)),
            run_own=self._averaged(run.total_own_cov(expected, prior=prior_var)),
            run_var=np.maximum(run_var, 1e-12),
            noise=noise,
            shift=_SHIFT * noise,
            weights=self._weights,
            model_means=later.means,
            model_covs=model_cov[:, first:],
        )

    def _predictions(
        self, rows: Features, penalty: Array, *, seeds: Sequence[int] | None
    ) -> tuple[_Prediction, _Prediction]:
        """Of expected z, and of z in a next run."""
        next_seeds = np.full(len(rows.peak), -1) if seeds is None else np.array(seeds)
        prior_mean, cov_cross = self._prior_mean(rows, penalty), self._cov_cross(rows, penalty)
        run_cross = cov_cross + self._seed_cross(rows, next_seeds)
        return self._prediction(prior_mean, cov_cross), self._prediction(prior_mean, run_cross)

    def _prediction(self, prior_mean: Array, cov_cross: Array) -> _Prediction:
        white = np.linalg.solve(self._chol, cov_cross)
        means = prior_mean + (np.swapaxes(white, 1, 2) @ self._white_z[:, :, None])[:, :, 0]
        return _Prediction(white=white, means=means, apart=means - self._averaged(means))

    def _averaged(self, of_models: Array) -> Array:
        """The mean over the models, the first axis, by their weights."""
        averaged: Array = np.average(of_models, axis=0, weights=self._weights)
        return averaged

    def _seed_cross(self, rows: Features, seeds: Array) -> Array:
        """``[g, m, n]``, prior covariance of the effects of seeds between the runs and further runs."""
        same = np.equal.outer(self._seeds, seeds)
        effects = (kernel(self._runs, rows) + _SHIFT) * same
        cross: Array = self._noise[:, None, None] * effects
        return cross

    def _cov_cross(self, rows: Features, penalty: Array) -> Array:
        """``[g, m, n]``, prior covariance between the runs and expected z of configurations."""
        run_penalty = self._penalty(self._runs)[self._points]
        cov_cross: Array = self._variance * (
            _BETA[1] ** 2 * np.outer(self._runs.bound, rows.bound)
            + _GAMMA[1] ** 2 * (run_penalty[:, :, None] * penalty[:, None, :])
            + _OFFSET
            + _OPTION * self._options.correlation_sum(self._runs.options, rows.options)
            + self._signal[:, None, None] * kernel(self._runs, rows)
        )
        return cov_cross

    def _prior_cov(self, rows: Features, penalty: Array, *, first: int) -> Array:
        """``[g, n, n - first]``, prior covariance of expected z with the rows from ``first`` on."""
        later = rows.since(first)
        cov: Array = self._variance * (
            _BETA[1] ** 2 * np.outer(rows.bound, later.bound)
            + _GAMMA[1] ** 2 * penalty[:, :, None] * penalty[:, None, first:]
            + _OFFSET
            + _OPTION * self._options.correlation_sum(rows.options, later.options)
            + self._signal[:, None, None] * kernel(rows, later)
        )
        return cov

    def _prior_var(self, rows: Features, penalty: Array) -> Array:
        """``[g, n]``, prior variance of expected z."""
        var: Array = self._variance * (
            _BETA[1] ** 2 * np.square(rows.bound)
            + _GAMMA[1] ** 2 * np.square(penalty)
            + _OFFSET
            + _OPTION * self._options.count
            + self._signal[:, None]
        )
        return var

    def _prior_mean(self, rows: Features, penalty: Array) -> Array:
        mean: Array = math.sqrt(self._variance) * (_BETA[0] * rows.bound + _GAMMA[0] * penalty)
        return mean

    def _penalty(self, rows: Features) -> Array:
        """``[p, n]``, what gamma multiplies."""
        clipped = np.clip(rows.peak - self._x0_grid[:, None], -7.0, 7.0)  # cosh would overflow far beyond any range
        penalty: Array = np.log(np.cosh(clipped))
        return penalty

    def _features(self, configurations: Sequence[Configuration]) -> Features:
        return Features.of(configurations, total_steps=self._total_steps, options=self._options)


def _model_grid(peaks: tuple[float, float], *, unit_peak: float) -> tuple[Array, Array]:
    """x0 and the logarithm of its prior, each ``[p]``; ``unit_peak`` is where a peak rate of 1 lies."""
    low, high = math.log(peaks[0]), math.log(peaks[1])
    x0 = np.linspace(-0.5, 0.5, _X0_POINTS)
    log_prior = -0.5 * np.square(x0 / _X0_STD)
    width = max(high - low, 1e-6)
    return unit_peak + 0.5 * (low + high) + width * x0, log_prior


def kernel(one: Features, other: Features) -> Array:
    """The prior correlation of f.

    Args:
        one: ``n`` configurations.
        other: ``m`` configurations.

    Returns:
        ``[n, m]``, each in [0, 1]: 1 for equal configurations, near 0 for distant ones.
    """
    # A squared exponential in each feature; the curve counts by its mean over the points, not by their number.
    peak = np.subtract.outer(one.peak, other.peak) / _PEAK_SCALE
    warmup = np.subtract.outer(one.warmup, other.warmup) / _WARMUP_SCALE
    apart = np.mean(np.square(one.curve[:, None, :] - other.curve[None, :, :]), axis=2) / _CURVE_SCALE**2
    apart += np.sum(np.square(one.options[:, None, :] - other.options[None, :, :]), axis=2)
    correlation: Array = np.exp(-0.5 * (np.square(peak) + np.square(warmup) + apart))
    return correlation
