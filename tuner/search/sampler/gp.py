"""A model of the loss over configurations, with schedules of every family, learned from runs at every rung.

Families share what they teach: schedules are compared by their peak rate, their warm-up and the curve that they draw,
not by the names of their parameters. What convex theory says (`tuner.search.sampler.convex_bound`) is the model's
first guess, and runs correct it. For a schedule s at a rung of T_r of T updates, on a scale on which bad losses lie
close together::

    z(s, r) = offset + offset_r + beta bound(s) + gamma log cosh(peak(s) - x0 - delta log(T / T_r))
              + sum of g_i(option i) + f(s, r) + noise

``bound`` and ``peak`` are relative to the theory's best (`tuner.search.sampler.features`), ``x0`` says where the best
peaks of this workload lie, and ``delta`` how much higher they lie in shorter runs. Offsets, beta and gamma are
Gaussian; each g is a Gaussian process over one of the searched options, f is one over peak, curve, warm-up, all of
these options and rung. All of it is worked out exactly but for x0, delta and the sizes of f and of the noise: those are
averaged over a grid, weighted by how well each explains the runs. How the settings below were chosen:
docs/benchmarks.md.
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
"""Distance at which two schedules tell little of each other: a factor e of the peak, ..."""
_CURVE_SCALE: Final = 0.3
"""... a third of the peak over the whole curve, ..."""
_WARMUP_SCALE: Final = 1.5
"""... a factor 4.5 of the warm-up."""
_RUNG_CORRELATION: Final = 0.95
"""Of f between two rungs, one three times as long as the other."""
_BETA: Final = (4.0, 4.0)
_GAMMA: Final = (1.0, 1.0)
"""Mean and standard deviation, in standard deviations of z."""
_OFFSET: Final = 0.8
_RUNG_OFFSET: Final = 4.0
_OPTION: Final = 0.5
"""Variances, in variances of z; the last of what each option does by itself."""
_PLACES: Final = 21
"""Values of x0, over the range of the peaks."""
_PLACE_SPREAD: Final = 0.35
"""Standard deviation of x0 around the middle of that range, in widths of it."""
_SHIFTS: Final = (0.0, 0.25, 0.5)
"""Values of delta. Convex theory has 0.5."""
_SIZES: Final = tuple((size, noise) for size in (0.02, 0.1, 0.4) for noise in (0.0005, 0.005, 0.05))
"""Variances of f and of the noise, in variances of z."""
_MOST: Final = 96
"""Runs that are learned from at most. What is far from the best tells little about it."""
_KEPT: Final = 40
_LEAST_WEIGHT: Final = 0.002
"""Models of the grid that beliefs are averaged over: so many at most, and none below this share."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """How a configuration did in a run that did not diverge."""

    configuration: Configuration
    steps: int
    """Updates of the run, at most the horizon."""
    loss: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Belief:
    """What is believed of some configurations at the horizon, compared with the best of those that were tried."""

    gap: Array
    """``[n]``, expected z above that of the best; below 0: better."""
    deviation: Array
    """``[n]``, its standard deviation; above 0."""


class Surrogate:
    """The model, fitted to runs.

    Args:
        observations: At least one.
        total_steps: The horizon.
        peaks: Lowest and highest peak rate of the search.
        options: Those that are searched.

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
        self._observations = seen = _most_telling(observations)
        self._seen = self._features([one.configuration for one in seen])
        self._depth = np.log([total_steps / one.steps for one in seen])
        z = _compressed_gaps(seen)
        self._variance = max(float(z.var()), 0.05)
        unit = Configuration(schedule=Schedule(peak_lr=1.0, family=Linear()), options=options.usual)
        self._places, self._shifts, log_prior = _grid(peaks, unit=float(self._features([unit]).peak[0]))
        self._solve(z - z.mean(), log_prior=log_prior)

    def _solve(self, z: Array, *, log_prior: Array) -> None:
        """Condition every model of the grid on the runs, and weigh it by its evidence."""
        rows, count = self._seen, len(z)
        deviation = math.sqrt(self._variance)
        slopes = self._peak_slopes(rows, depth=self._depth)  # [places x shifts, n]
        common = self._variance * (
            _BETA[1] ** 2 * np.outer(rows.bound, rows.bound)
            + _GAMMA[1] ** 2 * slopes[:, :, None] * slopes[:, None, :]
            + _OFFSET
            + _RUNG_OFFSET * np.equal.outer(self._depth, self._depth)
            + _OPTION * self._options.alike(rows.options, rows.options)
        )
        covariance = kernel(rows, rows) * _rung_correlation(self._depth, self._depth)
        covariances = np.concatenate(
            [common + self._variance * (size * covariance + (noise + 1e-8) * np.eye(count)) for size, noise in _SIZES]
        )
        expected = deviation * (_BETA[0] * rows.bound + _GAMMA[0] * slopes)
        roots = np.linalg.cholesky(covariances)
        residuals = np.tile(z - expected, (len(_SIZES), 1))
        solved = np.linalg.solve(roots, residuals[:, :, None])[:, :, 0]
        evidence = -0.5 * np.sum(np.square(solved), axis=1)
        evidence -= np.sum(np.log(np.diagonal(roots, axis1=1, axis2=2)), axis=1)
        evidence += np.tile(log_prior, len(_SIZES))
        weights = np.exp(evidence - evidence.max())
        weights /= weights.sum()
        kept = np.argsort(-weights, kind="stable")[:_KEPT]
        self._kept = kept[weights[kept] >= _LEAST_WEIGHT * weights[kept[0]]]
        self._weights = weights[self._kept] / weights[self._kept].sum()
        self._roots, self._solved = roots[self._kept], solved[self._kept]

    def _features(self, configurations: Sequence[Configuration]) -> Features:
        return Features.of(configurations, total_steps=self._total_steps, options=self._options)

    def belief(
        self, configurations: Sequence[Configuration], *, rivals: Collection[Configuration] | None = None
    ) -> Belief:
        """What is believed of configurations at the horizon.

        Args:
            configurations: Any number.
            rivals: The tried ones with the best of which they are compared; all when absent, or when none is among
                those that were learned from.
        """
        rows = self._features(configurations).joined(self._seen)
        at_horizon = np.zeros(len(rows.peak))
        covariance = kernel(rows, self._seen) * _rung_correlation(at_horizon, self._depth)
        options_alike = self._options.alike(rows.options, self._seen.options)
        same_rung = np.equal.outer(at_horizon, self._depth)
        new_slopes = self._peak_slopes(rows, depth=at_horizon)
        old_slopes = self._peak_slopes(self._seen, depth=self._depth)
        means, spreads = [], []
        for model, root, solved in zip(self._kept.tolist(), self._roots, self._solved, strict=True):
            size, place = _SIZES[model // len(self._places)][0], model % len(self._places)
            new, old = new_slopes[place], old_slopes[place]
            cross = self._variance * (
                _BETA[1] ** 2 * np.outer(rows.bound, self._seen.bound)
                + _GAMMA[1] ** 2 * np.outer(new, old)
                + _OFFSET
                + _RUNG_OFFSET * same_rung
                + _OPTION * options_alike
                + size * covariance
            )
            explained = np.linalg.solve(root, cross.T)  # [runs, rows]
            means.append(math.sqrt(self._variance) * (_BETA[0] * rows.bound + _GAMMA[0] * new) + explained.T @ solved)
            spreads.append((size, new, explained))
        tried = np.average(means, axis=0, weights=self._weights)[len(configurations) :]
        compared = np.array([rivals is None or one.configuration in rivals for one in self._observations])
        best = len(configurations) + int(np.argmin(np.where(compared | ~compared.any(), tried, np.inf)))
        to_best = kernel(rows, rows.only(best))[:, 0]
        options_apart = self._options.count - self._options.alike(rows.options, rows.only(best).options)[:, 0]
        gaps = np.array([mean - mean[best] for mean in means])
        variances = np.array(
            [
                self._variance
                * (
                    _BETA[1] ** 2 * np.square(rows.bound - rows.bound[best])
                    + _GAMMA[1] ** 2 * np.square(new - new[best])
                    + 2.0 * size * (1.0 - to_best)
                    + 2.0 * _OPTION * options_apart
                )
                - np.sum(np.square(explained - explained[:, [best]]), axis=0)
                for size, new, explained in spreads
            ]
        )
        gap = np.average(gaps, axis=0, weights=self._weights)
        second = np.average(np.maximum(variances, 0.0) + np.square(gaps), axis=0, weights=self._weights)
        deviation = np.sqrt(np.maximum(second - np.square(gap), 1e-9))
        return Belief(gap=gap[: len(configurations)], deviation=deviation[: len(configurations)])

    def _peak_slopes(self, rows: Features, *, depth: Array) -> Array:
        """``[places x shifts, n]``, what gamma multiplies."""
        away = rows.peak - self._places[:, None] - self._shifts[:, None] * depth
        clipped = np.clip(away, -7.0, 7.0)  # nobody searches further, and cosh would overflow
        slopes: Array = np.log(np.cosh(clipped))
        return slopes


def _grid(peaks: tuple[float, float], *, unit: float) -> tuple[Array, Array, Array]:
    """x0, delta and the logarithm of the prior, each ``[places x shifts]``; ``unit`` is where a peak of 1 lies."""
    low, high = math.log(peaks[0]), math.log(peaks[1])
    share = np.linspace(-0.5, 0.5, _PLACES)
    places, shifts = np.meshgrid(share, np.array(_SHIFTS), indexing="ij")
    prior = -0.5 * np.square(places / _PLACE_SPREAD)
    width = max(high - low, 1e-6)
    return (unit + 0.5 * (low + high) + width * places).ravel(), shifts.ravel(), prior.ravel()


def _most_telling(observations: Sequence[Observation]) -> list[Observation]:
    """The best of each rung, as many as are learned from."""
    if len(observations) <= _MOST:
        return list(observations)
    places: dict[int, int] = {}
    ranked = []
    for one in sorted(observations, key=lambda one: one.loss):
        places[one.steps] = places.get(one.steps, 0) + 1
        ranked.append((places[one.steps], one))
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])[:_MOST]]


def _compressed_gaps(seen: Sequence[Observation]) -> Array:
    """``[n]``, z: 0 for the best of each rung, and the logarithm of the gap to it far from it.

    The scale is the median gap among the better half of the shortest rung's.
    """
    best: dict[int, float] = {}
    for one in seen:
        best[one.steps] = min(one.loss, best.get(one.steps, math.inf))
    gaps = np.array([one.loss - best[one.steps] for one in seen])
    shortest = min(best)
    ahead = np.sort([gap for one, gap in zip(seen, gaps, strict=True) if one.steps == shortest and gap > 0])
    scale = float(np.median(ahead[: len(ahead) // 2 + 1])) if len(ahead) else 1.0
    z: Array = np.log1p(gaps / scale)
    return z


def kernel(one: Features, other: Features) -> Array:
    """How much configurations tell of each other, before any run: the correlation of f at one rung.

    Args:
        one: ``n`` of them.
        other: ``m`` more.

    Returns:
        ``[n, m]``, each in [0, 1]: 1 for the same, near 0 for unlike ones.
    """
    peak = np.subtract.outer(one.peak, other.peak) / _PEAK_SCALE
    warmup = np.subtract.outer(one.warmup, other.warmup) / _WARMUP_SCALE
    apart = np.mean(np.square(one.curve[:, None, :] - other.curve[None, :, :]), axis=2) / _CURVE_SCALE**2
    apart += np.sum(np.square(one.options[:, None, :] - other.options[None, :, :]), axis=2)
    correlation: Array = np.exp(-0.5 * (np.square(peak) + np.square(warmup) + apart))
    return correlation


def _rung_correlation(one: Array, other: Array) -> Array:
    """``[n, m]``, correlation of f between rungs, by the logarithms of T / T_r."""
    correlation: Array = _RUNG_CORRELATION ** (np.abs(np.subtract.outer(one, other)) / math.log(3.0))
    return correlation
