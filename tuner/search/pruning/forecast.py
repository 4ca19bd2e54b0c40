"""The loss that a running training will end at, forecast from the rest of its schedule and the complete runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import stdtr, stdtrit

from tuner.search.configuration import Configuration
from tuner.search.pruning.curve_gp import CurveGp, CurveRows, StudentT
from tuner.search.pruning.features import Array, Features

MIN_POINTS: Final = 5
"""Evaluations that a run has at least before it is forecast."""
MIN_COMPLETE: Final = 3
"""Complete runs that a forecast needs."""
MIN_PROGRESS: Final = 0.2
"""Fraction of a run before which it is not forecast: the first losses say little of the last."""
_LEARNED_FROM: Final = 0.115
"""Fraction of a run before which nothing is learned from it."""
_MAX_CURVES: Final = 30
_MAX_ROWS: Final = 320
_MAX_POINTS: Final = 16
"""Complete runs that the GP is fitted to at most, their evaluations, and those of one run."""
_LINEAR: Final = 4.33
"""Losses are logarithmic beyond this multiple of what a run usually gains: one that exploded must not set the scale."""
_LEAST_UNIT: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The evaluations of a run."""

    configuration: Configuration
    seed: int
    total_steps: int
    """Of the run when it is complete."""
    points: tuple[tuple[int, float], ...]
    """Steps done, ascending, and the loss there: lower is better."""

    @property
    def is_complete(self) -> bool:
        """Whether the run was evaluated at its end."""
        return bool(self.points) and self.points[-1][0] >= self.total_steps


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run is expected to end at."""

    step: int
    """Of the last evaluation that it rests on."""
    mean: float
    std: float
    low: float
    """Of the 95 % interval."""
    high: float


@dataclass(frozen=True, kw_only=True)
class LossScale:
    """Losses as the GP sees them: linear near the best, logarithmic far above it."""

    best: float
    unit: float

    @classmethod
    def of(cls, complete: Sequence[Curve]) -> LossScale:
        """The scale of a job with these complete runs."""
        best = min(one.points[-1][1] for one in complete)
        worst = float(np.median([max(loss for _, loss in one.points) for one in complete]))
        return cls(best=best, unit=max(_LINEAR * (worst - best), _LEAST_UNIT))

    def __call__(self, losses: Array | float) -> Array:
        """Losses on the scale."""
        scaled: Array = np.arcsinh((np.asarray(losses) - self.best) / self.unit)
        return scaled

    def slope(self, loss: float) -> float:
        """Derivative at a loss."""
        return 1.0 / math.hypot(self.unit, loss - self.best)

    def loss(self, scaled: float) -> float:
        """The loss at a point of the scale."""
        return self.best + self.unit * math.sinh(min(max(scaled, -300.0), 300.0))


@dataclass(frozen=True, kw_only=True)
class EndDistribution:
    """The distribution of the loss that a run ends at."""

    step: int
    scale: LossScale
    end: StudentT
    """On that scale."""

    @property
    def forecast(self) -> Forecast:
        """Its center, standard deviation and interval in the unit of the loss."""
        width = float(stdtrit(self.end.degrees, 0.975)) * self.end.scale
        low, high = self.scale.loss(self.end.mean - width), self.scale.loss(self.end.mean + width)
        mean = self.scale.loss(self.end.mean)
        std = self.end.std / self.scale.slope(mean)
        return Forecast(step=self.step, mean=mean, std=std, low=low, high=high)

    def chance_below(self, loss: float) -> float:
        """The chance that the run ends below a loss."""
        return float(stdtr(self.end.degrees, (float(self.scale(loss)) - self.end.mean) / self.end.scale))


class LossForecaster:
    """Forecasts the final loss of running trainings.

    Args:
        complete: The complete runs of the job; those of another length, and those whose rates followed their loss, are
            left out.
        total_steps: Of the runs to forecast.
    """

    def __init__(self, complete: Sequence[Curve], *, total_steps: int) -> None:
        usable = [one for one in complete if _is_usable(one, total_steps=total_steps)]
        # What matters is whether a run will beat the best: the best runs say most about it.
        usable = sorted(usable, key=lambda one: one.points[-1][1])[:_MAX_CURVES]
        self._total_steps = total_steps
        self._gp: CurveGp | None = None
        if len(usable) < MIN_COMPLETE:
            return
        self._scale = LossScale.of(usable)
        points = min(_MAX_POINTS, max(4, _MAX_ROWS // len(usable)))
        self._gp = CurveGp([self._rows(one, points=points) for one in usable])

    def predict(self, running: Curve) -> EndDistribution | None:
        """The distribution of a run's final loss; ``None`` where too little is known for one.

        The rest of a schedule that follows the loss is never known.
        """
        if self._gp is None or running.total_steps != self._total_steps or running.is_complete:
            return None
        if running.configuration.schedule.follows_loss:
            return None
        losses = np.array([loss for _, loss in running.points])
        step = running.points[-1][0] if running.points else 0
        if len(losses) < MIN_POINTS or step < MIN_PROGRESS * self._total_steps or not np.isfinite(losses).all():
            return None
        end = self._features(running, steps=np.array([float(self._total_steps)]))
        run = self._rows(running, points=_MAX_POINTS)
        return EndDistribution(step=step, scale=self._scale, end=self._gp.predict_end(run, end=end))

    def forecast(self, running: Curve) -> Forecast | None:
        """The forecast of a run; ``None`` where its points or the complete runs are too few for one."""
        distribution = self.predict(running)
        return None if distribution is None else distribution.forecast

    def _rows(self, curve: Curve, *, points: int) -> CurveRows:
        """The evaluations but the first ones, at most so many of them: evenly chosen, the last included."""
        late = [point for point in curve.points if point[0] >= _LEARNED_FROM * self._total_steps]
        chosen = np.unique(np.linspace(len(late) - 1, 0, min(points, len(late))).round().astype(int))
        steps, losses = np.array(late)[chosen].T
        return CurveRows(features=self._features(curve, steps=steps), losses=self._scale(losses))

    def _features(self, curve: Curve, *, steps: Array) -> Features:
        return Features.of(curve.configuration.schedule, steps=steps, total_steps=self._total_steps)


def _is_usable(curve: Curve, *, total_steps: int) -> bool:
    """Whether a run is complete, of the wanted length, of known rates, and has enough evaluations, all finite."""
    if curve.configuration.schedule.follows_loss:
        return False
    late = [loss for step, loss in curve.points if step >= _LEARNED_FROM * total_steps]
    return curve.total_steps == total_steps and curve.is_complete and len(late) > 1 and bool(np.isfinite(late).all())
