"""A Gaussian process (GP) over learning curves, fitted to the complete runs of a job.

A functional scaling law in the form of a GP: the loss is a smooth function of the area under the schedule so far (the
distance trained) plus an excess that follows the recent rate (gradient noise, which a decay removes), plus effects of
the peak, plus what each run has of its own. The functions are learned, where a law has powers and exponents. With
evaluations a and b of the runs i and j::

    k(a, b) = offset + k(area) + linear(area) + sum of linear(recent rates) + k(peak) + k(area, rate, peak, progress)
              + [i = j] (offset + linear(progress) + linear(recent rate)) + [a = b] noise

The scale of all is estimated from the errors that the GP makes at the end of each complete run when that run is left
out (after Dubrule 1983: all of them follow from one inverse), and the predictive distribution is a Student t, whose
tails are the heavier the fewer runs there are. docs/benchmarks.md says how the constants were chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular

from tuner.search.pruning.features import Array, Features

Indices = NDArray[np.int_]

_OFFSET: Final = 10.0
_AREA: Final = (0.273, 0.935)
_AREA_LINEAR: Final = 0.06
_RECENT: Final = np.array([0.00231, 0.00166, 0.00277])
_PEAK: Final = (6.91, 1.78)
_JOINT: Final = 0.0005
_JOINT_SCALES: Final = (1.73, 1.73, 6.25, 0.517)
_RUN: Final = 0.406
_RUN_PROGRESS: Final = 0.0005
_RUN_RECENT: Final = 0.0004
_NOISE: Final = (5.2e-6, 0.00741)
"""Variances, and length scales in logarithms (module docstring, in its order). The noise grows with the recent rate."""
_JITTER: Final = 1e-8
_SCALE_PRIOR: Final = 23.6
"""Runs that the scale of the whole fit counts for, beside the left-out errors at the end of each run."""
_PRIOR_SUM: Final = 4.0
_DEGREES: Final = 0.2
"""Degrees of freedom beside one for each complete run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveRows:
    """Evaluations of one run: what is known of each, and its loss on the scale of the GP."""

    features: Features
    losses: Array
    """``[n]``"""


@dataclass(frozen=True, kw_only=True)
class StudentT:
    """A Student t distribution."""

    mean: float
    scale: float
    degrees: float
    """Above 2."""

    @property
    def std(self) -> float:
        """The standard deviation."""
        return self.scale * math.sqrt(self.degrees / (self.degrees - 2.0))


class CurveGp:
    """The GP, fitted to complete runs.

    Args:
        runs: At least two, each with at least two rows, the last at its end.
    """

    def __init__(self, runs: Sequence[CurveRows]) -> None:
        self._count = len(runs)
        sizes = [len(one.losses) for one in runs]
        rows = runs[0].features.joined(*(one.features for one in runs[1:]))
        self._area = float(np.median(rows.area))
        self._peak = float(np.median([one.features.peak[0] for one in runs]))
        self._rows = rows.relative(area=self._area, peak=self._peak)
        ends = np.array([one.losses[-1] for one in runs])
        self._center, self._unit = float(ends.mean()), float(max(ends.std(), 1e-9))
        losses = (np.concatenate([one.losses for one in runs]) - self._center) / self._unit
        run = np.repeat(np.arange(self._count), sizes)
        cov = _kernel(self._rows, self._rows, same_run=np.equal.outer(run, run))
        cov[np.diag_indices(len(run))] += _noise(self._rows)
        self._chol = np.linalg.cholesky(cov)
        self._white = solve_triangular(self._chol, losses, lower=True, check_finite=False)
        self._left_out = self._left_out_errors(losses, run=run, progress=self._rows.progress)

    def _left_out_errors(self, losses: Array, *, run: Indices, progress: Array) -> list[tuple[Array, Array]]:
        """For each run: progress, and the squared standardized error of its end, forecast there from the others."""
        inverse = cho_solve((self._chol, True), np.eye(len(losses)), check_finite=False)
        weights = inverse @ losses
        errors = []
        for one in range(self._count):
            own = np.flatnonzero(run == one)
            # The predictive covariance of a block that was left out is the inverse of its block of the inverse.
            cov = np.linalg.inv(inverse[np.ix_(own, own)])
            chol = np.linalg.cholesky(cov + _JITTER * np.eye(len(own)))
            white = solve_triangular(chol, cov @ weights[own], lower=True, check_finite=False)
            error, variance = _still_unknown(chol[-1] * white), _still_unknown(np.square(chol[-1]))
            errors.append((progress[own][:-1], np.square(error) / variance))
        return errors

    def predict_end(self, run: CurveRows, *, end: Features) -> StudentT:
        """The loss at the end of a run, from its evaluations so far.

        Args:
            run: At least one evaluation.
            end: One row, at the end of the run.
        """
        rows = run.features.joined(end).relative(area=self._area, peak=self._peak)
        losses = (run.losses - self._center) / self._unit
        cross = solve_triangular(self._chol, _kernel(self._rows, rows), lower=True, check_finite=False)
        cov = _kernel(rows, rows, same_run=np.True_) - cross.T @ cross
        cov[np.diag_indices(len(cov))] += _noise(rows)
        mean = cross.T @ self._white
        # With the end as the last row, its conditional moments are in the last row of the Cholesky factor.
        chol = np.linalg.cholesky(cov)
        white = solve_triangular(chol[:-1, :-1], losses - mean[:-1], lower=True, check_finite=False)
        fitted = float(self._white @ self._white + white @ white + _PRIOR_SUM)
        whole = fitted / (len(self._white) + len(white) + _PRIOR_SUM)
        at = rows.progress[-2]
        errors = sum(float(np.interp(at, progress, squared)) for progress, squared in self._left_out)
        variance = chol[-1, -1] ** 2 * (_SCALE_PRIOR * whole + errors) / (_SCALE_PRIOR + self._count)
        return StudentT(
            mean=self._center + self._unit * float(mean[-1] + chol[-1, :-1] @ white),
            scale=self._unit * float(np.sqrt(variance)),
            degrees=self._count + _DEGREES,
        )


def _kernel(one: Features, other: Features, *, same_run: np.ndarray | np.bool_ | None = None) -> Array:
    """``[n, m]``, prior covariance without noise; ``same_run`` where the rows may be of one run."""
    area, rate = _squares(one.area, other.area), _squares(one.rate, other.rate)
    peak, progress = _squares(one.peak, other.peak), _squares(one.progress, other.progress)
    joint = sum(square / scale**2 for square, scale in zip((area, rate, peak, progress), _JOINT_SCALES, strict=True))
    cov: Array = (
        _OFFSET
        + _AREA[0] * np.exp(-0.5 * area / _AREA[1] ** 2)
        + _AREA_LINEAR * np.outer(one.area, other.area)
        + (one.recent * _RECENT) @ other.recent.T
        + _PEAK[0] * np.exp(-0.5 * peak / _PEAK[1] ** 2)
        + _JOINT * np.exp(-0.5 * joint)
    )
    if same_run is not None:
        own = _RUN + _RUN_PROGRESS * np.outer(one.progress, other.progress)
        cov += same_run * (own + _RUN_RECENT * np.outer(one.recent[:, 1], other.recent[:, 1]))
    return cov


def _noise(rows: Features) -> Array:
    """``[n]``, variance of the noise."""
    noise: Array = _NOISE[0] * np.exp(-rows.progress) + _NOISE[1] * rows.recent[:, 1] + _JITTER
    return noise


def _squares(one: Array, other: Array) -> Array:
    squares: Array = np.square(np.subtract.outer(one, other))
    return squares


def _still_unknown(terms: Array) -> Array:
    """``[n - 1]``: for each row but the last, the sum of the terms after it."""
    sums: Array = np.cumsum(terms[::-1])[::-1][1:]
    return sums
