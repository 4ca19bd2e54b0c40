"""Whether a running training is stopped: when it would almost surely not beat the leader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tuner.search.pruning.forecast import Curve, Forecast, LossForecaster

MAX_CHANCE: Final = 0.01
"""A run is stopped when the chance that it beats the leader by the margin is below this."""


@dataclass(frozen=True, kw_only=True)
class Leader:
    """The expected loss at the horizon of the configuration that leads."""

    mean: float
    std: float


@dataclass(frozen=True, kw_only=True)
class ForecastCheck:
    """A forecast, compared with the leader."""

    forecast: Forecast
    leader: Leader
    margin: float
    chance: float
    """That the run ends below the leader by more than the margin."""
    stop: bool


def check_forecast(
    forecaster: LossForecaster, running: Curve, *, leader: Leader, margin: float
) -> ForecastCheck | None:
    """Decide whether a running training is stopped; ``None`` where it cannot be forecast yet.

    The leader's uncertainty is recorded, and is no part of the chance: the distribution of the run's end contains the
    noise of one run, which an expected loss does not have, and which stands for the noise of the leader's runs.

    Args:
        forecaster: Of the job.
        running: The run so far.
        leader: The configuration that leads.
        margin: Least difference to the leader that matters, in the unit of the loss.
    """
    distribution = forecaster.predict(running)
    if distribution is None:
        return None
    chance = distribution.chance_below(leader.mean - margin)
    return ForecastCheck(
        forecast=distribution.forecast, leader=leader, margin=margin, chance=chance, stop=chance < MAX_CHANCE
    )
