"""Records of what a study recommends so far, and of the forecasts that compare running trainings with it."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.search.configuration import Configuration
from tuner.search.settings import PrunerName


@dataclass(frozen=True, kw_only=True)
class BestTrial:
    """The trial that a study recommends so far, by `tuner.search.decision.estimates`."""

    trial: int
    label: str
    """A description of its configuration."""
    value: float
    """Expected at the horizon, as people read the metric."""
    std: float
    """Of the expected value, in the same unit."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    runs: int
    """Runs of it that have finished, each on a seed of its own."""
    margin: float
    """The smallest difference in the metric that is worth a change of schedule."""


@dataclass(frozen=True, kw_only=True)
class ForecastRecord:
    """A forecast of a run's loss at its end, and whether it stopped the run. Losses: lower is better."""

    step: int
    """Of the evaluation after which it was made."""
    mean: float
    std: float
    low: float
    """Of the 95 % interval."""
    high: float
    chance: float
    """That the run ends below the leader by more than the margin."""
    leader_mean: float
    """The expected loss of the trial that led."""
    leader_std: float
    margin: float
    stop: bool
    """Whether it ends the run: the chance is too small, or a rule on the raw loss has decided so."""
    audited: bool
    """Whether the run was trained on all the same, to measure what stopping loses."""


@dataclass(frozen=True, kw_only=True)
class TrialCurve:
    """The losses of a run, thinned."""

    run_id: str
    trial: int
    configuration: Configuration
    seed: int
    total_steps: int
    points: tuple[tuple[int, float], ...]
    """Steps done, ascending, and the loss there: lower is better."""


@dataclass(frozen=True, kw_only=True)
class StoppingContext:
    """What the forecasts of a leased run are made from and compared with."""

    trial: int
    pruner: PrunerName
    search_seed: int
    best: BestTrial
    ended: tuple[TrialCurve, ...]
    """Runs of the job that were trained to their end, and for a rule on the raw loss those that were stopped: those
    that the caller does not have yet."""
    points: tuple[tuple[int, float], ...]
    """The run's own losses up to its snapshot, by step."""
    configuration: Configuration
