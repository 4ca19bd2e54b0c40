"""What a study's runs say of the expected loss of each trial at the horizon, and which trial they recommend.

The plan, the progress of a job, Optuna and the report read the same estimates: there is one notion of the best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from tuner.errors import InvalidValue
from tuner.search.decision.decisions import Role, RunStatus, StudyState
from tuner.search.decision.incumbent import incumbent_of
from tuner.search.decision.observations import Observations
from tuner.search.decision.values import certainty, recommended
from tuner.search.worth import Normal

Array = NDArray[np.float64]

COVERAGE: Final = 0.95
"""Of every interval."""
_PRIOR_FREEDOM: Final = 3
"""Degrees of freedom of the noise over seeds before any schedule has a second seed; each further run adds one."""


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

    Raises:
        InvalidValue: No run has finished.
    """

    def __init__(self, state: StudyState) -> None:
        if not any(run.status is RunStatus.FINISHED for run in state.runs):
            raise InvalidValue("runs", value=len(state.runs), allowed="at least one that has finished")
        observations = Observations(state)
        surrogate = observations.surrogate
        self._scale = surrogate.scale
        # The incumbent counts also before its first run, as the model predicts it.
        compared = tuple(dict.fromkeys((*surrogate.observed, incumbent_of(state))))
        posterior = surrogate.posterior((), references=compared)
        index = {configuration: place for place, configuration in enumerate(compared)}
        incumbent = index[incumbent_of(state)]
        finished = {run.trial for run in state.runs if run.status is RunStatus.FINISHED}
        diverged = {run.trial for run in state.runs if run.status is RunStatus.DIVERGED}
        shown = [
            trial
            for trial in state.trials
            if trial.number in finished and trial.number not in diverged and trial.configuration in index
        ] or [trial for trial in state.trials if trial.number in finished and trial.configuration in index]
        rows = [index[trial.configuration] for trial in shown]
        mean, cov = posterior.mean[rows], posterior.cov[np.ix_(rows, rows)]
        order = np.argsort(mean, kind="stable")
        self._trials = tuple(shown[place].number for place in order)
        self._mean, self._cov = mean[order], cov[np.ix_(order, order)]
        self._place = {number: place for place, number in enumerate(self._trials)}
        self._spread = math.sqrt(posterior.noise + posterior.shift)
        self._state = state
        self._quantile = _quantile(state)
        eligible = np.zeros(len(compared), dtype=np.bool_)
        eligible[rows] = observations.are_stable([trial.configuration for trial in shown])
        if not eligible.any():
            eligible[rows] = True
        certain = certainty(state.settings.budget)
        best = compared[recommended(posterior, certain=certain, eligible=eligible, incumbent=incumbent)]
        self._recommended = next(trial.number for trial in shown if trial.configuration == best)
        roles = {trial.number: trial.role for trial in shown}
        self._incumbent = next((number for number in self._trials if roles[number] is Role.INCUMBENT), None)

    @property
    def trials(self) -> tuple[int, ...]:
        """The trials with a finished run and none that diverged, the lowest expected loss first."""
        return self._trials

    @property
    def recommended(self) -> int:
        """The trial to recommend: the incumbent, or the one that is better than it with enough certainty."""
        return self._recommended

    @property
    def incumbent(self) -> int | None:
        """The incumbent's trial; ``None`` when it has no loss."""
        return self._incumbent

    @property
    def noise_std(self) -> float:
        """Standard deviation of a run's loss over seeds, near the best, pooled over all trials."""
        return self._spread * float(self._scale.slope(self._mean[:1])[0])

    @property
    def margin(self) -> float:
        """The smallest gain in loss that is worth a change."""
        return self._state.margin_at(self.noise_std)

    def expected(self, trial: int) -> Normal:
        """The expected loss of one of ``trials``.

        Raises:
            KeyError: It is none of them.
        """
        place = self._place[trial]
        z = self._mean[[place]]
        # The posterior variance of z holds the level common to all; the spread between trials is what counts.
        std = math.sqrt(max(self._cov[place, place], 0.0)) * float(self._scale.slope(z)[0])
        return Normal(mean=float(self._scale.expand(z)[0]), std=std)

    def difference(self, trial: int, *, to: int) -> Difference:
        """The expected loss of one of ``trials`` less that of another, with its interval.

        Raises:
            KeyError: One is none of them.
        """
        places = [self._place[trial], self._place[to]]
        mean, cov = self._mean[places], self._cov[np.ix_(places, places)]
        # The losses' difference, linear in z around its mean.
        slope = self._scale.slope(mean) * np.array([1.0, -1.0])
        # In units of the larger slope, whose square may overflow, or be 0.
        unit = float(np.abs(slope).max())
        std = unit * math.sqrt(max(float(slope / unit @ cov @ (slope / unit)), 0.0))
        losses = self._scale.expand(mean)
        middle = float(losses[0] - losses[1])
        half = self._quantile * std
        return Difference(mean=middle, std=std, low=middle - half, high=middle + half)


def _quantile(state: StudyState) -> float:
    """The quantile of an interval: Student's, since the noise over seeds is estimated; normal on one seed alone."""
    upper = 0.5 + COVERAGE / 2.0
    if state.settings.seeds == 1:
        return float(ndtri(upper))
    finished = [run.trial for run in state.runs if run.status is RunStatus.FINISHED]
    return float(stdtrit(_PRIOR_FREEDOM + len(finished) - len(set(finished)), upper))
