"""A scaling law of the loss over a run, fitted to learning curves: what the loss is at the end of a stretched schedule.

The loss after some steps is modelled, after the functional scaling laws (arXiv 2509.19189) and the multi-power law
(arXiv 2503.12811), as::

    L = floor + A * S^-a + B * N,    S = sum of rate^k,    N = sum of rate * K(S - S_then)

S is the intrinsic time: how far the training has come. Its power k is 1 for plain gradient descent, and about 1/2 for
Adam. N is the noise that the rates of the last while cause: their average, weighted with a kernel K that decays
exponentially with the time constant tau. A schedule that decays late has a large S, and no N left at the end.

For a grid of (k, tau, a) the three coefficients follow by non-negative least squares: a loss is positive, so that its
floor is, and neither more training nor less noise raises it. No single point of the grid is chosen: all count, by how
well they fit. What separates the curves from the law is misfit, which neighbouring evaluations share, far more than
noise; so a run counts as one observation however often it was evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.schedules import Schedule

Array = NDArray[np.float64]

POWERS: Final = (0.25, 0.5, 0.75, 1.0)
"""k, the power of the rate in the intrinsic time."""
TIME_CONSTANTS: Final = (0.003, 0.01, 0.03, 0.1, 0.3)
"""tau, as a share of the intrinsic time that the horizon's steps take at the usual peak."""
EXPONENTS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0)
"""a, how fast the loss falls."""
_BLOCKS: Final = 200
"""Stretches of equal length that a run's rates are averaged over."""
_MAX_DENSE: Final = 100_000  # updates up to which a block has the mean of all its rates
_SAMPLES: Final = 64  # spread updates of a block of a longer run
_LEAST_WEIGHT: Final = 1e-3
"""Laws with less than so much of the best one's weight are left out."""
_RIDGE: Final = 1e-10
"""Of the squared norm of a column: keeps the equations solvable where a constant rate makes N a constant."""


@dataclass(frozen=True, eq=False)
class Rates:
    """The learning rates of a run, averaged over short blocks of steps.

    Args:
        edges: ``[b + 1]``, steps, ascending from 0.
        means: ``[b]``, the mean rate between two edges.
    """

    edges: Array
    means: Array

    @classmethod
    def of(cls, lrs: Array, *, steps: Sequence[int] = ()) -> Rates:
        """The blocks of a run.

        Args:
            lrs: ``[T]``, the rate of each step.
            steps: Edges to add, so that the law is exact there.
        """
        edges = _edges(len(lrs), steps=steps)
        sums = np.concatenate(([0.0], np.cumsum(lrs)))[edges]
        return cls(edges=edges.astype(np.float64), means=np.diff(sums) / np.diff(edges))

    @classmethod
    def of_schedule(cls, schedule: Schedule, *, total_steps: int, steps: Sequence[int] = ()) -> Rates:
        """The blocks of a run with a schedule; for runs of any length at much the same cost.

        Args:
            schedule: Fits into the run; its stand-in is used where it follows the loss.
            total_steps: Updates of the run. Of more than 100,000, each block's mean is that of 64 spread updates.
            steps: As for `of`.
        """
        schedule = schedule.stand_in
        if total_steps <= _MAX_DENSE:
            return cls.of(schedule.lrs(total_steps), steps=steps)
        edges = _edges(total_steps, steps=steps)
        parts = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
        spread = (edges[:-1, None] + parts * np.diff(edges)[:, None]).astype(np.int64)  # [b, _SAMPLES], ascending
        lrs = schedule.lrs_at(spread.ravel(), total_steps=total_steps)
        return cls(edges=edges.astype(np.float64), means=lrs.reshape(spread.shape).mean(axis=1))


def _edges(total_steps: int, *, steps: Sequence[int]) -> NDArray[np.int64]:
    blocks = np.linspace(0, total_steps, _BLOCKS + 1).round()
    return np.unique(np.concatenate((blocks, steps))).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Evaluations:
    """Losses of a run, as the fit uses them.

    Args:
        rates: Of the run, with an edge at every evaluation.
        steps: ``[p]``, steps done.
        losses: ``[p]``, at these steps.
    """

    rates: Rates
    steps: Array
    losses: Array


@dataclass(frozen=True, eq=False)
class ScalingLaws:
    """Laws that explain the curves, each with its probability.

    Args:
        horizon: The unit of the steps.
        usual_rate: The unit of the rates.
        grid: ``[m, 3]``, (k, tau, a) of each law.
        coefficients: ``[m, 3]``, (floor, A, B), none negative.
        weights: ``[m]``, summing to 1.
        explained: The share of the losses' variance that the best law explains.
        residual_std: Standard deviation of the losses around the best law.
    """

    horizon: int
    usual_rate: float
    grid: Array
    coefficients: Array
    weights: Array
    explained: float
    residual_std: float

    def end_losses(self, rates: Rates, *, stretches: Array) -> Array:
        """The loss at the end of a run whose schedule is stretched.

        Args:
            rates: Of the run, not stretched.
            stretches: ``[f]``, how many times the steps.

        Returns:
            ``[m, f]``, by each law.
        """
        losses = np.empty((len(self.weights), len(stretches)))
        means = rates.means / self.usual_rate
        for power, tau in {(power, tau) for power, tau, _ in self.grid.tolist()}:
            laws = np.flatnonzero((self.grid[:, 0] == power) & (self.grid[:, 1] == tau))
            times = _times(rates, power=power, usual_rate=self.usual_rate, horizon=self.horizon)
            time = times[-1] * stretches
            # A stretched schedule takes each block's time a stretch as often, and its noise has so much longer to fade.
            noise = np.diff(np.exp(-(times[-1] - times)[None, :] * stretches[:, None] / tau), axis=1) @ means
            floor, fall, rise = self.coefficients[laws].T[:, :, None]
            losses[laws] = floor + fall * time ** -self.grid[laws, 2, None] + rise * noise
        return losses

    def losses(self, run: Evaluations) -> Array:
        """``[p]``, what the laws say at the run's evaluations, in the mean."""
        mean = np.zeros(len(run.steps))
        for (power, tau, exponent), (floor, fall, rise), weight in zip(
            self.grid.tolist(), self.coefficients.tolist(), self.weights.tolist(), strict=True
        ):
            time, noise = _terms(
                run.rates, run.steps, power=power, tau=tau, usual_rate=self.usual_rate, horizon=self.horizon
            )
            mean += weight * (floor + fall * time**-exponent + rise * noise)
        return mean


def fit(runs: Sequence[Evaluations], *, horizon: int) -> ScalingLaws:
    """Fit the laws to the curves of at least one run.

    Args:
        runs: With positive losses.
        horizon: Steps of a full run.
    """
    usual_rate = float(np.median([run.rates.means.max() for run in runs]))
    losses = np.concatenate([run.losses for run in runs])
    # Late evaluations weigh more: they are what an extrapolation starts from, and the law is worst at the start.
    share = np.concatenate([run.steps / run.rates.edges[-1] for run in runs])
    root = np.sqrt(share)
    grid, squares, coefficients = [], [], []
    for power, tau in product(POWERS, TIME_CONSTANTS):
        terms = [
            _terms(run.rates, run.steps, power=power, tau=tau, usual_rate=usual_rate, horizon=horizon) for run in runs
        ]
        time, noise = (np.concatenate(parts) for parts in zip(*terms, strict=True))
        columns = np.stack([np.stack((np.ones_like(time), time**-a, noise), axis=1) for a in EXPONENTS])
        solved, rest = non_negative(columns * root[:, None], losses * root)
        grid += [(power, tau, a) for a in EXPONENTS]
        coefficients.append(solved)
        squares.append(rest)
    sums = np.concatenate(squares)
    # As if the residuals of a run were one number: the likelihood to the power of 1 / (evaluations per run).
    weights = (sums / sums.min()) ** (-0.5 * len(runs))
    likely = weights >= _LEAST_WEIGHT
    spread = float(np.sum(share * np.square(losses - np.average(losses, weights=share))))
    return ScalingLaws(
        horizon=horizon,
        usual_rate=usual_rate,
        grid=np.array(grid)[likely],
        coefficients=np.concatenate(coefficients)[likely],
        weights=weights[likely] / weights[likely].sum(),
        explained=1.0 - float(sums.min()) / spread if spread > 0.0 else 0.0,
        residual_std=float(np.sqrt(sums.min() / share.sum())),
    )


def _terms(
    rates: Rates, steps: Array, *, power: float, tau: float, usual_rate: float, horizon: int
) -> tuple[Array, Array]:
    """``[p]`` each: intrinsic time and noise after these steps, which are edges of the blocks."""
    times = _times(rates, power=power, usual_rate=usual_rate, horizon=horizon)
    now = times[np.searchsorted(rates.edges, steps)]
    # The kernel integrated over each block exactly: a block may be longer than the time constant. Blocks after `now`
    # have age 0 at both edges, and add nothing.
    decayed = np.exp(-np.maximum(now[:, None] - times[None, :], 0.0) / tau)
    return now, np.diff(decayed, axis=1) @ (rates.means / usual_rate)


def _times(rates: Rates, *, power: float, usual_rate: float, horizon: int) -> Array:
    """``[b + 1]``, the intrinsic time at each edge, 0 at the first."""
    steps = (rates.means / usual_rate) ** power * np.diff(rates.edges)
    return np.concatenate(([0.0], np.cumsum(steps))) / horizon


def non_negative(columns: Array, values: Array) -> tuple[Array, Array]:
    """Non-negative least squares for many small problems at once, by trying every set of columns.

    Args:
        columns: ``[m, n, 3]``.
        values: ``[n]``, positive.

    Returns:
        ``[m, 3]`` coefficients, ``[m]`` sums of squared residuals.
    """
    norms = np.linalg.norm(columns, axis=1)
    scaled = columns / np.maximum(norms, 1e-300)[:, None, :]
    gram = np.einsum("mni,mnj->mij", scaled, scaled) + _RIDGE * np.eye(3)
    moments = np.einsum("mni,n->mi", scaled, values)
    best = np.zeros_like(moments)
    least = np.full(len(best), float(values @ values))
    for mask in product((False, True), repeat=3):
        active = np.flatnonzero(mask)
        if not len(active):
            continue
        solved = np.linalg.solve(gram[:, active[:, None], active], moments[:, active, None])[..., 0]
        fitted = np.zeros_like(best)
        fitted[:, active] = solved
        squares = np.square(values - np.einsum("mni,mi->mn", scaled, fitted)).sum(axis=1)
        better = (solved >= 0.0).all(axis=1) & (squares < least)
        best[better], least[better] = fitted[better], squares[better]
    return best / np.maximum(norms, 1e-300), np.maximum(least, 1e-300)
