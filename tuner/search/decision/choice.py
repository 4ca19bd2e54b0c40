"""Which run is worth most to the recommendation: a new configuration, another seed of a known one, or none.

Pure: randomness comes from the search's seed and the number of runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.errors import InvalidValue
from tuner.search.configuration import Configuration, values_of
from tuner.search.decision.decisions import (
    Alternative,
    NewTrial,
    Replicate,
    Role,
    RunStatus,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.decision.incumbent import incumbent_of
from tuner.search.decision.observations import Observations
from tuner.search.decision.seeds import run_seed
from tuner.search.decision.values import RunValues, certainty
from tuner.search.sampler.propose import candidates, initial, restricted, shared_fraction
from tuner.search.settings import SamplerName

Array = NDArray[np.float64]

_MIN_LOSSES: Final = 2
"""Losses from which the GP chooses; before, theory does."""
_LOG_UNSTABLE: Final = math.log(0.02)
"""Added to the log value of a configuration that is likely to diverge on another seed."""
_NOTHING: Final = 1e-12
"""The study ends when all that is left of the budget is not expected to gain this share of the margin."""
_ALTERNATIVES: Final = 3
_NEW_ACTION: Final = "a new schedule"
_COMPARES_FROM: Final = 5.0
"""Budget from which the incumbent is trained in any case: the first question is what a change from it gains."""
_EXHAUSTED: Final = "every schedule of the space has been tried"
_WHY_INCUMBENT: Final = "the incumbent: what every other schedule is compared with"


Proposer = Callable[[StudyState], Configuration | None]
"""Chooses a new configuration in place of the model of schedules; ``None`` where it has none."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Nothing more is worth its cost."""

    reason: str


def choose(
    state: StudyState, *, pool: Sequence[Configuration] | None = None, proposer: Proposer | None = None
) -> NewTrial | Replicate | Spent:
    """Choose the next run.

    Args:
        state: The study; the budget pays for another run.
        pool: The only configurations that can be trained; the whole space when absent.
        proposer: Of the settings' sampler, where that is another than our own.

    Returns:
        The run; `Spent` when none is worth its cost, or while the runs that decide have to finish first.

    Raises:
        InvalidValue: The settings name another sampler, and there is no proposer, or there is a pool.
    """
    _check_proposer(state, pool=pool, proposer=proposer)
    observations = Observations(state)
    if _may_open(state) and (start := _start(state, observations)):
        return _new(state, start[0], reason="a start schedule")
    if len(observations.losses) < _MIN_LOSSES and _may_open(state):
        guess = _first(state, observations, pool=pool, proposer=proposer)
        if guess is not None:
            return guess
    if not observations.losses:
        reason = (
            f"{_EXHAUSTED}, and none" if _may_open(state) and pool is None else "no schedule is left to try, and none"
        )
        return Spent(reason=f"{reason} has a result")
    if state.settings.budget >= _COMPARES_FROM and _may_open(state) and _lacks_incumbent(state, pool):
        return _new(state, incumbent_of(state), reason=_WHY_INCUMBENT)
    choice = _Choice(state, observations, pool=pool).best()
    return choice if proposer is None else _with_proposal(state, choice, proposer=proposer)


def most_promising(state: StudyState) -> Configuration | None:
    """The new configuration that is worth most: for a study in which every trial is a new one, trained once.

    Args:
        state: The study.

    Returns:
        A configuration of the space; ``None`` where all of its trainings have been tried.
    """
    observations = Observations(state)
    if len(observations.losses) < _MIN_LOSSES:
        found = candidates(observations, leaders=(), rng=_rng(state))
        return initial(found, observations=observations) if found else None
    return _Choice(state, observations).best_new()


def _start(state: StudyState, observations: Observations) -> list[Configuration]:
    """The start schedules that were not trained yet."""
    wanted = (Configuration(schedule=one, options=state.usual_options) for one in state.settings.start)
    return observations.untried(observations.named(wanted))


def _lacks_incumbent(state: StudyState, pool: Sequence[Configuration] | None) -> bool:
    can = pool is None or incumbent_of(state) in pool
    return can and not any(trial.role is Role.INCUMBENT for trial in state.trials)


def _may_open(state: StudyState) -> bool:
    most = state.settings.trials
    return state.stop is None and (most is None or len(state.trials) < most)


def _new(
    state: StudyState, configuration: Configuration, *, reason: str, alternatives: tuple[Alternative, ...] = ()
) -> NewTrial:
    role = Role.START if configuration.schedule in state.settings.start else None
    return NewTrial(
        number=len(state.trials),
        role=Role.INCUMBENT if configuration == incumbent_of(state) else role,
        configuration=configuration,
        seed=run_seed(state.settings.seed, place=0),
        reason=reason,
        alternatives=alternatives,
    )


def _rng(state: StudyState) -> np.random.Generator:
    return np.random.default_rng((state.settings.seed, len(state.trials), len(state.runs)))


def _check_proposer(state: StudyState, *, pool: Sequence[Configuration] | None, proposer: Proposer | None) -> None:
    name = state.settings.sampler
    if name is SamplerName.SCHEDULE:
        return
    if pool is not None:
        hint = "A sampler of Optuna's chooses from the whole space: use sampler schedule, or no pool."
        raise InvalidValue("pool", value=f"{len(pool)} schedules", allowed=f"absent with sampler {name}", hint=hint)
    if proposer is None:
        raise InvalidValue("proposer", value=None, allowed=f"that of sampler {name}")


def _with_proposal(
    state: StudyState, choice: NewTrial | Replicate | Spent, *, proposer: Proposer
) -> NewTrial | Replicate | Spent:
    """The choice with the proposed configuration in place of a new one of ours; of the incumbent, it stays."""
    if not isinstance(choice, NewTrial) or choice.role is not None:
        return choice
    configuration = proposer(state)
    if configuration is None:
        return replace(choice, reason=f"{choice.reason}: sampler {state.settings.sampler} repeats itself")
    alternatives = tuple(one for one in choice.alternatives if not one.action.startswith(_NEW_ACTION))
    return _new(state, configuration, reason=_why_proposed(state), alternatives=alternatives)


def _why_proposed(state: StudyState) -> str:
    return f"chosen by Optuna's sampler {state.settings.sampler}"


def _first(
    state: StudyState,
    observations: Observations,
    *,
    pool: Sequence[Configuration] | None,
    proposer: Proposer | None,
) -> NewTrial | None:
    """The next configuration while there are too few losses to fit the GP."""
    proposed = None if proposer is None else proposer(state)
    if proposed is not None:
        return _new(state, proposed, reason=_why_proposed(state))
    found = candidates(observations, leaders=(), rng=_rng(state)) if pool is None else observations.untried(pool)
    if not found:
        return None
    return _new(state, initial(found, observations=observations), reason="the best guess of theory")


class _Choice:
    """All runs that could be next, with their values.

    Args:
        state: The study, with at least one loss.
        observations: Its runs.
        pool: See `choose`.
    """

    def __init__(
        self, state: StudyState, observations: Observations, *, pool: Sequence[Configuration] | None = None
    ) -> None:
        self._state, self._observations, self._pool = state, observations, pool
        self._surrogate = surrogate = observations.surrogate
        incumbent, observed = incumbent_of(state), surrogate.observed
        # The incumbent is compared with also before its first run, as the model predicts it.
        self._known = observed if incumbent in observed else (*observed, incumbent)
        trials = {trial.configuration: trial for trial in reversed(state.trials)}
        self._trials = [trials.get(one) for one in self._known]
        self._new = [one for one in self._new_ones() if one not in self._known]
        self._seeds = [self._next_seed(trial) for trial in self._trials]
        first_seed = run_seed(state.settings.seed, place=0)
        posterior = surrogate.posterior(
            self._new, references=self._known, seeds=[first_seed] * len(self._new) + self._seeds
        )
        completed = np.array([trial is not None and trial.status is TrialStatus.COMPLETED for trial in self._trials])
        eligible = completed & observations.are_stable(list(self._known))
        self._values = RunValues(
            posterior=posterior,
            eligible=eligible if eligible.any() else np.array([trial is not None for trial in self._trials]),
            certain=certainty(state.settings.budget),
            runs_left=(state.settings.budget_steps - state.steps_committed) / state.settings.total_steps,
            incumbent=self._known.index(incumbent),
        )
        self._spread = math.sqrt(posterior.noise + posterior.shift)
        self._leader_z = posterior.mean[len(self._new) + self._values.leader]

    def _new_ones(self) -> list[Configuration]:
        if not _may_open(self._state):
            return []
        if self._pool is not None:
            return restricted(self._observations.untried(self._pool), observations=self._observations)
        order = np.argsort(self._surrogate.posterior(()).mean, kind="stable")
        leaders = [self._surrogate.observed[place] for place in order]
        return candidates(self._observations, leaders=leaders, rng=_rng(self._state))

    def best(self) -> NewTrial | Replicate | Spent:
        """The run with the largest value; `Spent` when it is not worth its cost."""
        values = self._log_values()
        place = int(np.argmax(values))
        if values[place] == -math.inf:
            return Spent(
                reason=f"{_EXHAUSTED}{self._no_seeds}" if self._is_exhausted else "there is nothing more to try"
            )
        if self._is_worthless(float(values[place])):
            tried = f"{_EXHAUSTED}, and " if self._is_exhausted else ""
            return Spent(reason=f"{tried}nothing more is expected to change the recommendation")
        alternatives = self._alternatives(values)
        if place < len(self._new):
            reason = f"the most promising after {len(self._observations.losses)} results"
            return _new(self._state, self._new[place], reason=reason, alternatives=alternatives)
        known = place - len(self._new)
        trial = self._trials[known]
        if trial is None:
            return _new(self._state, self._known[known], reason=_WHY_INCUMBENT, alternatives=alternatives)
        return Replicate(
            trial=trial.number,
            seed=self._seeds[known],
            reason=self._why_again(known, runs=len(self._state.runs_of(trial.number))),
            alternatives=alternatives,
        )

    def best_new(self) -> Configuration | None:
        """The configuration of the space without a trial whose run has the largest value; ``None`` without any."""
        untried = [*self._new, *(one for one, trial in zip(self._known, self._trials, strict=True) if trial is None)]
        # The incumbent, which is known before its first run, may lie outside the space.
        inside = [one for one in untried if values_of(one, settings=self._state.settings) is not None]
        places = {one: place for place, one in enumerate((*self._new, *self._known))}
        values = self._log_values()
        return max(inside, key=lambda one: float(values[places[one]]), default=None)

    @property
    def _is_exhausted(self) -> bool:
        return self._pool is None and _may_open(self._state) and not self._new

    @property
    def _no_seeds(self) -> str:
        return "" if self._state.settings.seeds == 1 else ", and none can be trained on a further seed"

    def _log_values(self) -> Array:
        """``[n + u]``, log value of each run, for its cost and the risk of divergence."""
        values = self._values.log_values()
        configurations = [*self._new, *self._known]
        # A diverged run improves nothing, and a recommendation must not diverge on another seed.
        stable = self._observations.are_stable(configurations)
        values += np.log(self._observations.p_stable(configurations)) + np.where(stable, 0.0, _LOG_UNSTABLE)
        # Steps of a prefix that is trained already cost nothing; the square root keeps the gain ahead of cost.
        if self._new:
            shared = shared_fraction(self._new, observations=self._observations)
            values[: len(self._new)] -= 0.5 * np.log(1.0 - shared)
        can = [True] * len(self._new) + [self._can_train(known) for known in range(len(self._known))]
        allowed: Array = np.where(can, values, -math.inf)
        return allowed

    def _can_train(self, known: int) -> bool:
        trial = self._trials[known]
        if trial is None:
            return _may_open(self._state) and (self._pool is None or self._known[known] in self._pool)
        runs = self._state.runs_of(trial.number)
        # A schedule that diverged, failed or was stopped is out.
        fine = all(run.status in (RunStatus.FINISHED, RunStatus.RUNNING) for run in runs)
        return fine and len(runs) < self._state.settings.seeds

    def _next_seed(self, trial: TrialView | None) -> int:
        used = set() if trial is None else {run.seed for run in self._state.runs_of(trial.number)}
        seeds = (run_seed(self._state.settings.seed, place=place) for place in range(len(used) + 1))
        return next(seed for seed in seeds if seed not in used)

    @property
    def _slope(self) -> float:
        """Loss per z at the leader."""
        return float(self._surrogate.scale.slope(np.array([self._leader_z]))[0])

    def _is_worthless(self, log_value: float) -> bool:
        margin = self._state.margin_at(self._spread * self._slope)
        return math.exp(log_value) * self._slope * self._values.runs_left < _NOTHING * margin

    def _why_again(self, known: int, *, runs: int) -> str:
        what = "a close one"
        if known == self._values.incumbent:
            what = "the incumbent"
        elif known == self._values.leader:
            what = "the one in front"
        return f"seed {runs + 1} of {what}: it decides more than a new schedule would"

    def _alternatives(self, values: Array) -> tuple[Alternative, ...]:
        """The best actions, with their values in loss."""
        best = (int(place) for place in np.argsort(-values, kind="stable")[:_ALTERNATIVES])
        found = [
            Alternative(action=self._action(place), value=self._slope * math.exp(min(float(values[place]), 300.0)))
            for place in best
            if values[place] > -math.inf
        ]
        return (*found, Alternative(action="stop", value=0.0))

    def _action(self, place: int) -> str:
        if place < len(self._new):
            return f"{_NEW_ACTION}: {self._new[place].label}"
        trial = self._trials[place - len(self._new)]
        return "the incumbent" if trial is None else f"another seed of trial {trial.number}"
