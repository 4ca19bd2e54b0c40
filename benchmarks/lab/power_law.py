"""A workload with exact truth: SGD on least squares with a power-law spectrum (arXiv 2509.19189 and 2602.06797).

Features are Gaussian with variances ``v_i = i^-b`` along their eigen-directions (capacity exponent ``b``). The target
is linear, its weights ``w_i`` such that ``v_i w_i^2`` is proportional to ``i^-(1 + s b)`` (source exponent ``s``),
plus noise. One update of SGD sees a fresh batch. With ``q_i = E (error of weight i)^2``, batch ``B`` and label noise
``n = noise^2``, Gaussian fourth moments give exactly

    q_i <- q_i (1 - 2 r v_i + (1 + 1/B) r^2 v_i^2) + r^2 v_i / B (sum_j v_j q_j + n)

for the rate ``r``. The loss is the mean squared error on fresh data without noise, ``sum_j v_j q_j``; it starts at 1.
By 2602.06797 the best schedule decays as ``(1 - progress)^(2 b - 1)`` where the task is easy, ``s >= 1 - 1/b``, and
holds its rate before a short decay where it is hard.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.lab.table import Curve
from tuner.metric import DEFAULT_METRIC
from tuner.schedules import Polynomial, Schedule, Wsd
from tuner.search.configuration import Configuration
from tuner.search.space import OptimizerKind, SearchSpace, default_space
from tuner.training.evaluation import divergence_limit
from tuner.training.evaluation_steps import evaluation_steps

Array = NDArray[np.float64]
OPTIMA: Final = Path(__file__).parents[1] / "data" / "power-law-optima.json"
"""The best rates of both workloads, by name."""


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """SGD on power-law least squares.

    Attributes:
        capacity: ``b``, above 1: how fast the variances of the features fall.
        source: ``s``, above 0: how much of the target lies in the directions of large variance.
        noise: Standard deviation of the labels' noise, in units of the target's standard deviation.
        peaks: Range of the peak rates; well below the rate at which the expected loss grows without bound.
    """

    name: str
    capacity: float
    source: float
    noise: float = 0.7
    batch_size: int = 4
    dimensions: int = 128
    total_steps: int = 1000
    peaks: tuple[float, float] = (0.01, 1.0)

    @cached_property
    def variances(self) -> Array:
        """``[dimensions]``, the first 1."""
        ranks = np.arange(1.0, self.dimensions + 1)
        return np.asarray(ranks**-self.capacity)

    @cached_property
    def start(self) -> Array:
        """``[dimensions]``: squared errors of the weights before the first update, all 0: the loss is 1."""
        ranks = np.arange(1.0, self.dimensions + 1)
        signal = ranks ** -(1.0 + self.source * self.capacity)
        return np.asarray(signal / signal.sum() / self.variances)

    @property
    def space(self) -> SearchSpace:
        """The default space."""
        return default_space(OptimizerKind.SGD, peak_lr=self.peaks)

    def expected_loss(self, schedule: Schedule, *, steps: int | None = None) -> float:
        """The exact mean over all seeds of the loss at the end of a run.

        Args:
            schedule: At the horizon.
            steps: Updates of the run, to which the schedule is compressed; the horizon when absent.
        """
        return self.expected_losses(self._lrs(schedule, steps=steps or self.total_steps))[-1]

    def expected_losses(self, lrs: Sequence[float] | Array) -> list[float]:
        """The expected loss after every update of a run with these rates; infinite once it is no number."""
        squares = self.start
        losses = []
        for rate in np.asarray(lrs, dtype=np.float64):
            squares = self._after(squares, rate=rate)
            losses.append(float(self.variances @ squares))
        return [loss if math.isfinite(loss) else math.inf for loss in losses]

    def _after(self, squares: Array, *, rate: float) -> Array:
        """The squared errors after an update."""
        variances, batch = self.variances, self.batch_size
        residual = variances @ squares + self.noise**2  # mean square of a training residual
        shrink = 1.0 - 2.0 * rate * variances + (1.0 + 1.0 / batch) * (rate * variances) ** 2
        return np.asarray(squares * shrink + rate**2 / batch * residual * variances)

    def oracle(self, configuration: Configuration, steps: int, seed: int) -> tuple[Curve, float | None]:
        """A run of SGD with this seed; see `benchmarks.lab.table.Oracle`.

        Its losses are those of fresh data without end, so that their mean over seeds is `expected_loss`. Equal seeds
        see the same batches.
        """
        generator = np.random.default_rng(seed)
        scales, errors = np.sqrt(self.variances), np.sqrt(self.start)
        evaluations = frozenset(evaluation_steps(steps))
        limit = divergence_limit(1.0, metric=DEFAULT_METRIC)
        curve: list[tuple[int, float]] = []
        for step, rate in enumerate(self._lrs(configuration.schedule, steps=steps).tolist(), 1):
            features = scales * generator.standard_normal((self.batch_size, self.dimensions))
            residuals = features @ errors - self.noise * generator.standard_normal(self.batch_size)
            errors = errors - rate / self.batch_size * (residuals @ features)
            if step in evaluations:
                loss = float(self.variances @ errors**2)
                if not loss <= limit:
                    return tuple(curve), None
                curve.append((step, loss))
        return tuple(curve), curve[-1][1]

    def true_losses(self, configurations: Sequence[Configuration]) -> list[float]:
        """The exact expected losses."""
        return [self.expected_loss(one.schedule) for one in configurations]

    @cached_property
    def optimum(self) -> float:
        """The least expected loss of all schedules, one rate of any size from 0 for every update.

        It is the loss of the rates that `optimal_lrs` found, which benchmarks/data stores.
        """
        return self.expected_losses(json.loads(OPTIMA.read_text())[self.name])[-1]

    def optimal_lrs(self) -> Array:
        """The best rates of all: ``[total_steps]``. It takes minutes.

        They are found numerically, with L-BFGS from the best schedule of the shape that 2602.06797 derives for the
        regime; the gradient is the recursion's adjoint, so exact. The paper's closed form is for long runs and leaves
        constants open: no run of this length could be measured against it.
        """
        found = minimize(
            self.loss_and_gradient,
            self._theory(),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, None)] * self.total_steps,
            options={"maxiter": 3000, "maxfun": 4000, "ftol": 1e-12, "gtol": 1e-10},
        )
        return np.asarray(found.x)

    def loss_and_gradient(self, lrs: Array) -> tuple[float, Array]:
        """The expected loss at the end, and its derivative by every rate: ``[steps]``."""
        variances, batch = self.variances, self.batch_size
        path = [self.start]
        for rate in lrs:
            path.append(self._after(path[-1], rate=rate))
        gradient, adjoint = np.empty(len(lrs)), variances
        for step in range(len(lrs) - 1, -1, -1):
            rate, squares = lrs[step], path[step]
            residual = variances @ squares + self.noise**2
            by_rate = (-2.0 * variances + 2.0 * (1.0 + 1.0 / batch) * rate * variances**2) * squares
            gradient[step] = adjoint @ (by_rate + 2.0 * rate / batch * residual * variances)
            shrink = 1.0 - 2.0 * rate * variances + (1.0 + 1.0 / batch) * (rate * variances) ** 2
            adjoint = adjoint * shrink + rate**2 / batch * (adjoint @ variances) * variances
        return float(variances @ path[-1]), gradient

    @property
    def is_easy(self) -> bool:
        """Whether the source exponent is at least ``1 - 1/b``."""
        return self.source >= 1.0 - 1.0 / self.capacity

    def _theory(self) -> Array:
        """The best of the shapes that the paper derives, over a grid of peaks (and cooldowns)."""
        families = (
            [Polynomial(power=2.0 * self.capacity - 1.0)]
            if self.is_easy
            else [Wsd(cooldown=cooldown, shape="linear") for cooldown in (0.05, 0.1, 0.2, 0.4, 0.8)]
        )
        peaks = np.geomspace(*self.peaks, 25).tolist()
        schedules = [Schedule(peak_lr=peak, family=family) for family in families for peak in peaks]
        return min(schedules, key=self.expected_loss).lrs(self.total_steps)

    def _lrs(self, schedule: Schedule, *, steps: int) -> Array:
        if steps == self.total_steps:
            return schedule.lrs(steps)
        return schedule.compressed(steps, from_steps=self.total_steps).lrs(steps)


EASY: Final = PowerLaw(name="power-law-easy", capacity=1.5, source=0.6)
HARD: Final = PowerLaw(name="power-law-hard", capacity=2.0, source=0.3)
POWER_LAWS: Final = {one.name: one for one in (EASY, HARD)}


def write_optima(path: Path = OPTIMA) -> None:
    """Compute the best rates of both workloads and store them, with six digits."""
    rates = {name: [float(f"{lr:.6g}") for lr in one.optimal_lrs()] for name, one in POWER_LAWS.items()}
    path.write_text(json.dumps(rates, separators=(",", ":")) + "\n")
