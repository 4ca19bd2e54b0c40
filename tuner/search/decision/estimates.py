"""What a study's runs say of the expected loss of each trial at the horizon, and which trial they recommend.

The plan, the progress of a job, Optuna and the report read the same estimates: there is one notion of the best.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuner.search.decision.decisions import StudyState


@dataclass(frozen=True, kw_only=True)
class Normal:
    """A normal distribution of a loss."""

    mean: float
    std: float


@dataclass(frozen=True, kw_only=True)
class Difference(Normal):
    """The expected loss of one trial less that of another."""

    low: float
    """Lower end of the 95 % interval."""
    high: float


class Estimates:
    """Expected losses at the horizon, from all runs of a study.

    Args:
        state: The study, with at least one finished run.
    """

    def __init__(self, state: StudyState) -> None:
        raise NotImplementedError

    @property
    def trials(self) -> tuple[int, ...]:
        """The trials with a finished run at the horizon and none that diverged, the lowest expected loss first."""
        raise NotImplementedError

    @property
    def recommended(self) -> int:
        """The trial to recommend: the incumbent, or the one that is better than it with enough certainty."""
        raise NotImplementedError

    @property
    def noise_std(self) -> float:
        """Standard deviation of a run's loss over seeds, pooled over all trials."""
        raise NotImplementedError

    @property
    def margin(self) -> float:
        """The smallest gain in loss that is worth a change: the state's, or a tenth of ``noise_std``."""
        raise NotImplementedError

    def expected(self, trial: int) -> Normal:
        """The expected loss of one of ``trials``."""
        raise NotImplementedError

    def difference(self, trial: int, *, to: int) -> Difference:
        """The expected loss of one of ``trials`` less that of another, with its interval."""
        raise NotImplementedError
