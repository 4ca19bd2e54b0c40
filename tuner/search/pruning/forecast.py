"""The loss that a running training will end at, forecast from the rest of its schedule and the complete runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tuner.search.configuration import Configuration

MIN_POINTS: Final = 5
"""Evaluations that a run has at least before it is forecast."""


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


class LossForecaster:
    """Forecasts the final loss of running trainings.

    Args:
        complete: The complete runs of the job; those of another length are left out.
        total_steps: Of the runs to forecast.
    """

    def __init__(self, complete: Sequence[Curve], *, total_steps: int) -> None:
        self._total_steps = total_steps
        self._complete = [one for one in complete if one.total_steps == total_steps and one.is_complete]

    def forecast(self, running: Curve) -> Forecast | None:
        """The forecast of a run, or ``None`` where its points or the complete runs are too few for one."""
        return None
