"""A Gaussian process (GP) over configurations of every family, fitted to runs at every rung.

The GP compares schedules by their peak rate, their warm-up and their curve, not by the parameters of their family, so
that families learn from each other. Convex theory (`tuner.search.sampler.convex_bound`) gives the prior mean. The loss
of a configuration x in a run of T_r of T steps, on a scale that compresses bad losses, is::

    z(x, r) = offset + offset_r + beta bound(x) + gamma log cosh(peak(x) - x0 - delta log(T / T_r))
              + sum of g_i(option i) + f(x, r) + noise

Offsets, beta and gamma are Gaussian; each g_i is a GP over one searched option; f is a GP over peak, curve, warm-up,
all options and the rung. These are integrated out exactly. The others (x0, delta, the variances of f and of the noise)
are averaged over a grid of models, each weighted by its evidence. docs/benchmarks.md says how the constants were
chosen.

Notation, with n configurations to predict, m observed runs, p pairs (x0, delta), g models (at most 9 p):

=================  ==============  ===========  =======================================================================
symbol             in the code     shape        meaning
=================  ==============  ===========  =======================================================================
z                  z               [m]          compressed loss: 0 for the best run of a rung, logarithmic far from it
s^2                variance        scalar       variance of z, which all prior variances are multiples of
bound(x), peak(x)  bound, peak     [n]          relative to the best of convex theory (`tuner.search.sampler.features`)
log(T / T_r)       depth           [m]          0 at the horizon, above 0 in shorter runs
x0                 x0_grid         [p]          where the best peaks of this workload lie
delta              delta_grid      [p]          how much higher the best peaks lie in a run shorter by a factor e
log cosh(...)      penalty         [p or g, n]  what a peak away from the best costs, before gamma
k(x, x')           kernel          [n, m]       prior correlation of f at one rung
K                  cov             [g, m, m]    prior covariance of z over the runs, noise included
L                  chol            [g, m, m]    lower Cholesky factor: K = L L^T
L^-1 (z - mu)      white_z         [g, m]       whitened residuals; alpha = K^-1 (z - mu) itself is not needed
K(X, x)            cov_cross       [g, m, n]    prior covariance between the runs and new configurations
L^-1 K(X, x)       white_cross     [g, m, n]    whitened, so that the posterior mean and variance are inner products
sigma_f^2 / s^2    signal          [g]          variance of f, in variances of z
p(model | z)       weights         [g]          posterior weights of the models
=================  ==============  ===========  =======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.errors import InvalidValue
from tuner.schedules import Linear, Schedule
from tuner.search.configuration import Configuration
from tuner.search.sampler.features import Features
from tuner.search.sampler.options import SearchedOptions

Array = NDArray[np.float64]

_PEAK_SCALE: Final = 1.0
_CURVE_SCALE: Final = 0.3
_WARMUP_SCALE: Final = 1.5
"""Length scales of f: a factor e of the peak, a third of the peak over the whole curve, a factor 4.5 of the warm-up."""
_RUNG_CORRELATION: Final = 0.95
"""Of f between two rungs, one three times as long as the other."""
_BETA: Final = (4.0, 4.0)
_GAMMA: Final = (1.0, 1.0)
"""Prior mean and standard deviation, in standard deviations of z."""
_OFFSET: Final = 0.8
_RUNG_OFFSET: Final = 4.0
_OPTION: Final = 0.5
"""Prior variances of offset, offset_r and each g_i, in variances of z."""
_X0_POINTS: Final = 21
"""Values of x0, evenly over the range of the peaks."""
_X0_STD: Final = 0.35
"""Prior standard deviation of x0 around the middle of that range, in widths of it."""
_DELTAS: Final = (0.0, 0.25, 0.5)
"""Values of delta. Convex theory has 0.5."""
_VARIANCES: Final = tuple((signal, noise) for signal in (0.02, 0.1, 0.4) for noise in (0.0005, 0.005, 0.05))
"""Variances of f and of the noise, in variances of z."""
_MAX_RUNS: Final = 96
"""Runs that the GP is fitted to at most. A run far from the best says little about it."""
_MAX_MODELS: Final = 40
_MIN_WEIGHT: Final = 0.002
"""Models that the posterior averages over: at most so many, and none below this share of the largest weight."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The loss of a configuration in a run that did not diverge."""

    configuration: Configuration
    steps: int
    """Of the run, at most the horizon."""
    loss: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """Posterior of z at the horizon, as the difference to the best configuration that was tried."""

    mean_diff: Array
    """``[n]``, expected z above that of the best; below 0: better."""
    std: Array
    """``[n]``, standard deviation of the difference; above 0."""


class Surrogate:
    """The GP, fitted to runs.

    Args:
        observations: At least one.
        total_steps: The horizon.
        peaks: Lowest and highest peak rate of the search.
        options: The searched options.

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
    ) -> None:
        if not observations:
            raise InvalidValue("observations", value=0, allowed="at least one")
        self._total_steps, self._options = total_steps, options
        self._observations = fitted = _best_of_each_rung(observations)
        self._runs = self._features([one.configuration for one in fitted])
        self._depth = np.log([total_steps / one.steps for one in fitted])
        z = _compressed_losses(fitted)
        self._variance = max(float(z.var()), 0.05)
        unit = Configuration(schedule=Schedule(peak_lr=1.0, family=Linear()), options=options.usual)
        grid = _model_grid(peaks, unit_peak=float(self._features([unit]).peak[0]))
        self._x0_grid, self._delta_grid, log_prior = grid
        self._fit(z - z.mean(), log_prior=log_prior)

    def _fit(self, z: Array, *, log_prior: Array) -> None:
        """Condition every model of the grid on the runs, and weight it by its evidence."""
        penalty = self._penalty(self._runs, depth=self._depth)
        chol = np.linalg.cholesky(self._cov(penalty))
        residuals = np.tile(z - self._prior_mean(self._runs, penalty), (len(_VARIANCES), 1))
        white_z = np.linalg.solve(chol, residuals[:, :, None])[:, :, 0]
        # log N(z | mu, K) without its constant: the determinant of K is the squared product of the diagonal of L.
        log_evidence = -0.5 * np.sum(np.square(white_z), axis=1)
        log_evidence -= np.sum(np.log(np.diagonal(chol, axis1=1, axis2=2)), axis=1)
        log_evidence += np.tile(log_prior, len(_VARIANCES))
        weights = np.exp(log_evidence - log_evidence.max())
        weights /= weights.sum()
        # A prediction costs as much as its models, and most of them explain the runs too badly to count.
        largest = np.argsort(-weights, kind="stable")[:_MAX_MODELS]
        models = largest[weights[largest] >= _MIN_WEIGHT * weights[largest[0]]]
        self._weights = weights[models] / weights[models].sum()
        self._chol, self._white_z = chol[models], white_z[models]
        variances, self._points = np.divmod(models, len(self._x0_grid))
        self._signal = np.array(_VARIANCES)[variances, 0]

    def _cov(self, penalty: Array) -> Array:
        """``[g, m, m]``, prior covariance of z over the runs, noise included."""
        runs, count = self._runs, len(self._depth)
        # What does not depend on the variances of f and of the noise is the same for all pairs of them.
        common = self._variance * (
            _BETA[1] ** 2 * np.outer(runs.bound, runs.bound)
            + _GAMMA[1] ** 2 * penalty[:, :, None] * penalty[:, None, :]
            + _OFFSET
            + _RUNG_OFFSET * np.equal.outer(self._depth, self._depth)
            + _OPTION * self._options.correlation_sum(runs.options, runs.options)
        )
        correlation = kernel(runs, runs) * _rung_correlation(self._depth, self._depth)
        return np.concatenate(
            [
                common + self._variance * (signal * correlation + (noise + 1e-8) * np.eye(count))
                for signal, noise in _VARIANCES
            ]
        )

    def posterior(
        self, configurations: Sequence[Configuration], *, rivals: Collection[Configuration] | None = None
    ) -> Posterior:
        """Predict z at the horizon, compared with the best configuration that was tried.

        Args:
            configurations: Any number.
            rivals: The tried configurations to take the best of; all when absent, or when the GP is fitted to none of
                them.
        """
        count = len(configurations)
        rows = self._features(configurations).joined(self._runs)
        penalty = self._penalty(rows, depth=np.zeros(len(rows.peak)))[self._points]
        white_cross = np.linalg.solve(self._chol, self._cov_cross(rows, penalty))
        means = self._prior_mean(rows, penalty) + (np.swapaxes(white_cross, 1, 2) @ self._white_z[:, :, None])[:, :, 0]
        best = count + self._best_run(np.average(means, axis=0, weights=self._weights)[count:], rivals=rivals)
        diffs = means - means[:, [best]]
        variances = self._prior_variance_to(best, rows, penalty)
        variances -= np.sum(np.square(white_cross - white_cross[:, :, [best]]), axis=1)
        # Moments of the mixture of models: the models' disagreement about the mean adds to the variance.
        mean_diff = np.average(diffs, axis=0, weights=self._weights)
        second = np.average(np.maximum(variances, 0.0) + np.square(diffs), axis=0, weights=self._weights)
        std = np.sqrt(np.maximum(second - np.square(mean_diff), 1e-9))
        return Posterior(mean_diff=mean_diff[:count], std=std[:count])

    def _cov_cross(self, rows: Features, penalty: Array) -> Array:
        """``[g, m, n]``, prior covariance between the runs and configurations at the horizon."""
        at_horizon = np.zeros(len(rows.peak))
        run_penalty = self._penalty(self._runs, depth=self._depth)[self._points]
        correlation = kernel(self._runs, rows) * _rung_correlation(self._depth, at_horizon)
        cov_cross: Array = self._variance * (
            _BETA[1] ** 2 * np.outer(self._runs.bound, rows.bound)
            + _GAMMA[1] ** 2 * (run_penalty[:, :, None] * penalty[:, None, :])
            + _OFFSET
            + _RUNG_OFFSET * np.equal.outer(self._depth, at_horizon)
            + _OPTION * self._options.correlation_sum(self._runs.options, rows.options)
            + self._signal[:, None, None] * correlation
        )
        return cov_cross

    def _prior_variance_to(self, row: int, rows: Features, penalty: Array) -> Array:
        """``[g, n]``, prior variance of z at the horizon less z of one row; the offsets cancel."""
        correlation = kernel(rows, rows.only(row))[:, 0]
        options = self._options.correlation_sum(rows.options, rows.only(row).options)[:, 0]
        variance: Array = self._variance * (
            _BETA[1] ** 2 * np.square(rows.bound - rows.bound[row])
            + _GAMMA[1] ** 2 * np.square(penalty - penalty[:, [row]])
            + 2.0 * self._signal[:, None] * (1.0 - correlation)
            + 2.0 * _OPTION * (self._options.count - options)
        )
        return variance

    def _best_run(self, means: Array, *, rivals: Collection[Configuration] | None) -> int:
        """Index of the run whose configuration has the lowest mean, among the rivals where there are any."""
        compared = np.array([rivals is None or one.configuration in rivals for one in self._observations])
        return int(np.argmin(np.where(compared | ~compared.any(), means, np.inf)))

    def _prior_mean(self, rows: Features, penalty: Array) -> Array:
        mean: Array = math.sqrt(self._variance) * (_BETA[0] * rows.bound + _GAMMA[0] * penalty)
        return mean

    def _penalty(self, rows: Features, *, depth: Array) -> Array:
        """``[p, n]``, what gamma multiplies."""
        away = rows.peak - self._x0_grid[:, None] - self._delta_grid[:, None] * depth
        clipped = np.clip(away, -7.0, 7.0)  # no search has a wider range, and cosh would overflow
        penalty: Array = np.log(np.cosh(clipped))
        return penalty

    def _features(self, configurations: Sequence[Configuration]) -> Features:
        return Features.of(configurations, total_steps=self._total_steps, options=self._options)


def _model_grid(peaks: tuple[float, float], *, unit_peak: float) -> tuple[Array, Array, Array]:
    """x0, delta and the logarithm of the prior, each ``[p]``; ``unit_peak`` is where a peak rate of 1 lies."""
    low, high = math.log(peaks[0]), math.log(peaks[1])
    x0, delta = np.meshgrid(np.linspace(-0.5, 0.5, _X0_POINTS), np.array(_DELTAS), indexing="ij")
    log_prior = -0.5 * np.square(x0 / _X0_STD)
    width = max(high - low, 1e-6)
    return (unit_peak + 0.5 * (low + high) + width * x0).ravel(), delta.ravel(), log_prior.ravel()


def _best_of_each_rung(observations: Sequence[Observation]) -> list[Observation]:
    """The runs to fit to: the best of each rung, in turn, up to the limit."""
    if len(observations) <= _MAX_RUNS:
        return list(observations)
    ranks: dict[int, int] = {}
    ranked = []
    for one in sorted(observations, key=lambda one: one.loss):
        ranks[one.steps] = ranks.get(one.steps, 0) + 1
        ranked.append((ranks[one.steps], one))
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])[:_MAX_RUNS]]


def _compressed_losses(observations: Sequence[Observation]) -> Array:
    """``[m]``, z: 0 for the best of each rung, and the logarithm of the gap to it far from it.

    The scale is the median gap among the better half of the shortest rung's runs.
    """
    best: dict[int, float] = {}
    for one in observations:
        best[one.steps] = min(one.loss, best.get(one.steps, math.inf))
    gaps = np.array([one.loss - best[one.steps] for one in observations])
    shortest = min(best)
    ahead = np.sort([gap for one, gap in zip(observations, gaps, strict=True) if one.steps == shortest and gap > 0])
    scale = float(np.median(ahead[: len(ahead) // 2 + 1])) if len(ahead) else 1.0
    z: Array = np.log1p(gaps / scale)
    return z


def kernel(one: Features, other: Features) -> Array:
    """The prior correlation of f at one rung.

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


def _rung_correlation(one: Array, other: Array) -> Array:
    """``[n, m]``, correlation of f between rungs, by their depths log(T / T_r)."""
    correlation: Array = _RUNG_CORRELATION ** (np.abs(np.subtract.outer(one, other)) / math.log(3.0))
    return correlation
