"""Which run is worth most to the recommendation: a new configuration, another seed of a known one, or none.

The value of a run is how much it is expected to improve the recommendation (the knowledge gradient): a new
configuration may turn out better than the one that would be recommended now; another seed may show that a known one is,
or that the one in front is not. For each run x and each configuration j that could then take the place of the
recommended b, with z the compressed loss of `tuner.search.sampler.gp`::

    value(x) = max over j of E[max(0, risk_b - risk_j after x)],   risk_j - risk_b after x ~ N(difference, s^2)
    s        = |cov(z_j - z_b, y_x)| / sqrt(var y_x)

This is a lower bound of the knowledge gradient of Frazier, Powell and Dayanik, The Knowledge-Gradient Policy for
Correlated Normal Beliefs (2009), by its best pair. ``risk`` is what a recommendation minimizes
(`tuner.search.decision.estimates.cautious`). Pure: randomness comes from the search's seed and the trial's number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import (
    Alternative,
    NewTrial,
    Replicate,
    Role,
    RunStatus,
    StudyState,
    TrialStatus,
)
from tuner.search.decision.estimates import CERTAINTY
from tuner.search.decision.incumbent import incumbent_of
from tuner.search.decision.observations import Observations
from tuner.search.decision.seeds import run_seed
from tuner.search.sampler.expected_improvement import log_ei
from tuner.search.sampler.propose import candidates, initial, restricted, shared_fraction

Array = NDArray[np.float64]

_MIN_LOSSES: Final = 2
"""Losses from which the GP chooses; before, theory does."""
_NEW_STD: Final = 0.5
"""Multiplies the standard deviation of a new configuration: a short search leaves few runs to recover."""
_LOG_UNSTABLE: Final = math.log(0.02)
"""Added to the log value of a configuration that is likely to diverge on another seed."""
_NOTHING: Final = 0.0
"""The study ends when all that is left of the budget is not expected to gain this share of the margin."""
_ALTERNATIVES: Final = 3


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Nothing more is worth its cost."""

    reason: str


def choose(state: StudyState, *, pool: Sequence[Configuration] | None = None) -> NewTrial | Replicate | Spent:
    """Choose the next run.

    Args:
        state: The study; the budget pays for another run.
        pool: The only configurations that can be trained; the whole space when absent.

    Returns:
        The run; `Spent` when none is worth its cost, or while the runs that decide have to finish first.
    """
    number = len(state.trials)
    if _may_open(state):
        if number < len(state.settings.start):
            start = Configuration(schedule=state.settings.start[number], options=state.usual_options)
            return _new(state, start, role=Role.START, reason="a start schedule")
        if state.settings.budget >= 2.0 and not any(trial.role is Role.INCUMBENT for trial in state.trials):
            reason = "the incumbent: what every other schedule is compared with"
            return _new(state, incumbent_of(state), role=Role.INCUMBENT, reason=reason)
    observations = Observations(state)
    if len(observations.losses) < _MIN_LOSSES and not (observations.losses and not _may_open(state)):
        return _by_theory(state, observations, pool=pool)
    return _Values(state, observations, pool=pool).best()


def _may_open(state: StudyState) -> bool:
    most = state.settings.trials
    return state.stop is None and (most is None or len(state.trials) < most)


def _new(
    state: StudyState,
    configuration: Configuration,
    *,
    role: Role | None,
    reason: str,
    alternatives: tuple[Alternative, ...] = (),
) -> NewTrial:
    return NewTrial(
        number=len(state.trials),
        role=role,
        configuration=configuration,
        seed=run_seed(state.settings.seed, place=0),
        reason=reason,
        alternatives=alternatives,
    )


def _rng(state: StudyState) -> np.random.Generator:
    return np.random.default_rng((state.settings.seed, len(state.trials), len(state.runs)))


def _by_theory(
    state: StudyState, observations: Observations, *, pool: Sequence[Configuration] | None
) -> NewTrial | Spent:
    if not _may_open(state):
        return Spent(reason="no schedule may be added, and none has a result")
    found = _untried(observations, pool) if pool is not None else candidates(observations, leaders=(), rng=_rng(state))
    if not found:
        return Spent(reason="every schedule was tried")
    return _new(state, initial(found, observations=observations), role=None, reason="the best guess of theory")


def _untried(observations: Observations, pool: Sequence[Configuration]) -> list[Configuration]:
    return [one for one in pool if one not in observations.tried]


class _Values:
    """The value of each run that could be next.

    Args:
        state: The study, with at least one loss.
        observations: Its runs.
        pool: See `choose`.
    """

    def __init__(self, state: StudyState, observations: Observations, *, pool: Sequence[Configuration] | None) -> None:
        self._state, self._observations = state, observations
        self._surrogate = observations.surrogate
        self._known = self._surrogate.observed
        self._new = self._new_ones(pool)
        self._posterior = self._surrogate.posterior(self._new)
        first = len(self._new)
        trials = {trial.configuration: trial for trial in reversed(state.trials)}
        self._trials = [trials[one] for one in self._known]
        incumbents = [place for place, trial in enumerate(self._trials) if trial.role is Role.INCUMBENT]
        self._incumbent = incumbents[0] if incumbents else None
        stable = observations.are_stable(list(self._known))
        completed = [trial.status is TrialStatus.COMPLETED for trial in self._trials]
        eligible = np.array(completed) & stable
        self._eligible = eligible if eligible.any() else np.ones(len(self._known), dtype=np.bool_)
        self._mean = self._posterior.mean[first:]
        self._apart = self._std_to_incumbent(self._posterior.cov[first:], self._posterior.var[first:])
        risk = np.where(self._eligible, self._mean + CERTAINTY * self._apart, math.inf)
        self._leader = int(np.argmin(risk))

    def _new_ones(self, pool: Sequence[Configuration] | None) -> list[Configuration]:
        if not _may_open(self._state):
            return []
        if pool is not None:
            return restricted(_untried(self._observations, pool), observations=self._observations)
        posterior = self._surrogate.posterior(())
        order = np.argsort(posterior.mean, kind="stable")
        leaders = [self._known[place] for place in order]
        return candidates(self._observations, leaders=leaders, rng=_rng(self._state))

    def best(self) -> NewTrial | Replicate | Spent:
        """The run with the largest value; `Spent` when it is not worth its cost."""
        new, known = self._values_of_new(), self._values_of_known()
        values = np.concatenate((new, known))
        if not len(values) or values.max() == -math.inf:
            return Spent(reason="there is nothing more to try")
        place = int(np.argmax(values))
        if self._is_worthless(float(values[place])):
            return Spent(reason="nothing more is expected to change the recommendation")
        alternatives = self._alternatives(values)
        if place < len(new):
            reason = f"the most promising after {len(self._observations.losses)} results"
            return _new(self._state, self._new[place], role=None, reason=reason, alternatives=alternatives)
        trial = self._trials[place - len(new)]
        return Replicate(
            trial=trial.number,
            seed=self._next_seed(trial.number),
            reason=self._why_again(place - len(new)),
            alternatives=alternatives,
        )

    def _values_of_new(self) -> Array:
        """``[n]``, log value of each new configuration per full run."""
        count = len(self._new)
        if not count:
            return np.zeros(0)
        p = self._posterior
        spread = np.sqrt(p.var[:count] + p.noise)
        # Its own change of risk: what its run shows of the difference to the leader and to the incumbent.
        own = (p.var[:count] - p.cov[:count, self._leader]) / spread
        shown = own if self._incumbent is None else (p.var[:count] - p.cov[:count, self._incumbent]) / spread
        apart = self._std_to_incumbent(p.cov[:count], p.var[:count])
        left = np.sqrt(np.maximum(np.square(apart) - np.square(shown), 0.0)) if self._incumbent is not None else 0.0
        risk = p.mean[:count] + CERTAINTY * left
        value = self._log_gain(risk, std=_NEW_STD * np.abs(own))
        # A diverged run improves nothing, and a recommendation must not diverge on another seed.
        stable = self._observations.are_stable(self._new)
        value += np.log(self._observations.p_stable(self._new)) + np.where(stable, 0.0, _LOG_UNSTABLE)
        # Steps of a prefix that is trained already cost nothing; the square root keeps the gain ahead of cost.
        value -= 0.5 * np.log(1.0 - shared_fraction(self._new, observations=self._observations))
        result: Array = value
        return result

    def _values_of_known(self) -> Array:
        """``[u]``, log value of another seed of each known configuration per full run."""
        p, count = self._posterior, len(self._new)
        cov = p.cov[count:]
        # [u, u]: row x, the run; column j, whose difference to the leader it shows.
        spread = np.sqrt(np.diag(cov) + p.noise + p.seed)
        shown = (cov - cov[:, [self._leader]]) / spread[:, None]
        left = self._apart[None, :]
        if self._incumbent is not None:
            to_incumbent = (cov - cov[:, [self._incumbent]]) / spread[:, None]
            left = np.sqrt(np.maximum(np.square(left) - np.square(to_incumbent), 0.0))
        risk = np.where(self._eligible, self._mean + CERTAINTY * left, math.inf)
        leader = risk[:, [self._leader]]
        std = np.maximum(np.abs(shown), 1e-12)
        others = np.where(np.arange(len(self._known)) == self._leader, -math.inf, 0.0)
        gains = np.where(
            np.isfinite(risk), np.log(std) + log_ei((leader - np.where(np.isfinite(risk), risk, 0.0)) / std), -math.inf
        )
        value = np.max(gains + others, axis=1)
        can = np.array([self._can_repeat(trial.number) for trial in self._trials])
        result: Array = np.where(can, value, -math.inf)
        return result

    def _log_gain(self, risk: Array, *, std: Array) -> Array:
        leader = self._mean[self._leader] + CERTAINTY * self._apart[self._leader]
        safe = np.maximum(std, 1e-9)
        # In logarithms, since the gain underflows far from the leader, where candidates must still have an order.
        gain: Array = np.log(safe) + log_ei((leader - risk) / safe)
        return gain

    def _std_to_incumbent(self, cov: Array, var: Array) -> Array:
        """``[n]``, standard deviation of the difference of z to the incumbent's."""
        if self._incumbent is None:
            return np.zeros(len(var))
        own = self._posterior.var[len(self._new) + self._incumbent]
        apart: Array = np.sqrt(np.maximum(var + own - 2.0 * cov[:, self._incumbent], 0.0))
        return apart

    def _can_repeat(self, trial: int) -> bool:
        runs = self._state.runs_of(trial)
        # A schedule that diverged or was stopped is out; each running seed has to be waited for.
        fine = all(run.status in (RunStatus.FINISHED, RunStatus.RUNNING) for run in runs)
        return fine and len(runs) < self._state.settings.seeds

    def _next_seed(self, trial: int) -> int:
        used = {run.seed for run in self._state.runs_of(trial)}
        seeds = (run_seed(self._state.settings.seed, place=place) for place in range(self._state.settings.seeds + 1))
        return next(seed for seed in seeds if seed not in used)

    def _is_worthless(self, log_value: float) -> bool:
        settings = self._state.settings
        left = (settings.budget_steps - self._state.steps_committed) / settings.total_steps
        scale = self._surrogate.scale
        slope = float(scale.slope(self._mean[[self._leader]])[0])
        margin = self._state.margin
        if margin is None:
            margin = 0.1 * math.sqrt(2.0 * self._posterior.noise) * slope
        return math.exp(log_value) * slope * left < _NOTHING * margin

    def _why_again(self, place: int) -> str:
        seeds = len(self._state.runs_of(self._trials[place].number))
        what = "the one in front" if place == self._leader else "a close one"
        if place == self._incumbent:
            what = "the incumbent"
        return f"seed {seeds + 1} of {what}: it decides more than a new schedule would"

    def _alternatives(self, values: Array) -> tuple[Alternative, ...]:
        slope = float(self._surrogate.scale.slope(self._mean[[self._leader]])[0])
        found = []
        for place in np.argsort(-values, kind="stable")[:_ALTERNATIVES]:
            if place < len(self._new):
                action = f"a new schedule: {self._new[place].label}"
            else:
                action = f"another seed of trial {self._trials[place - len(self._new)].number}"
            found.append(Alternative(action=action, value=slope * math.exp(min(float(values[place]), 700.0))))
        return (*found, Alternative(action="stop", value=0.0))
