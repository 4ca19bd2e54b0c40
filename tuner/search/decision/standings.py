"""The ranking of the trials of a study, rung by rung, and the state after a decision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from tuner.search.decision.decisions import (
    MEASURED_AGAINST,
    Audit,
    AuditView,
    CompleteTrial,
    Confirm,
    ConfirmView,
    Decision,
    NewTrial,
    Promote,
    Prune,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.decision.rungs import quota, rung_steps


class Standings:
    """The trials of a state, rung by rung.

    A trial counts at a rung once it has a result there, also when it is pruned later. It *waits* at its last rung while
    it is neither running nor decided. It is *promoted* from a rung once a run of the next is requested.
    """

    def __init__(self, state: StudyState) -> None:
        self.state = state
        self.settings = state.settings
        self.trials = state.trials
        self.steps = rung_steps(state.settings)
        self.top = len(self.steps) - 1
        self._orders: dict[int, tuple[TrialView, ...]] = {}
        self._ranks: dict[int, dict[int, int]] = {}

    @cached_property
    def active(self) -> tuple[TrialView, ...]:
        """The trials that are not decided."""
        return tuple(trial for trial in self.trials if trial.status is TrialStatus.ACTIVE)

    @cached_property
    def pruned(self) -> tuple[TrialView, ...]:
        """The trials that lost at a rung, without those that diverged."""
        return tuple(trial for trial in self.trials if trial.status is TrialStatus.PRUNED and not has_diverged(trial))

    @cached_property
    def completed(self) -> tuple[TrialView, ...]:
        """The trials that reached the horizon, best first."""
        done = (trial for trial in self.trials if trial.status is TrialStatus.COMPLETED)
        return tuple(sorted(done, key=lambda trial: (loss_at(trial, self.top), trial.number)))

    def order(self, rung: int) -> tuple[TrialView, ...]:
        """The trials with a result at a rung, best first, those that diverged last."""
        if rung not in self._orders:
            there = (trial for trial in self.trials if len(trial.results) > rung)
            self._orders[rung] = tuple(sorted(there, key=lambda trial: (loss_at(trial, rung), trial.number)))
        return self._orders[rung]

    def rank(self, trial: TrialView, rung: int) -> int:
        """The rank of a trial among all results at a rung, from 1."""
        if rung not in self._ranks:
            self._ranks[rung] = {other.number: rank for rank, other in enumerate(self.order(rung), start=1)}
        return self._ranks[rung][trial.number]

    def quota(self, rung: int, *, pending: int = 0) -> int:
        """How many may be promoted from a rung, with ``pending`` more results."""
        return quota(len(self.order(rung)) + pending, keep=self.settings.keep)

    def quota_used(self, rung: int) -> int:
        """How many of them are promoted. One of each measured group of controls does not count."""
        promoted = [trial for trial in self.order(rung) if is_promoted(trial, rung)]
        exempt = {trial.control for trial in promoted if trial.control in MEASURED_AGAINST}
        return len(promoted) - len(exempt)

    def waiting(self, rung: int) -> Iterator[TrialView]:
        """The trials that wait at a rung, best first."""
        return (trial for trial in self.order(rung) if last_rung(trial) == rung and is_waiting(trial))

    def pending(self, rung: int) -> Iterator[TrialView]:
        """The trials that may still get a result at a rung."""
        return (trial for trial in self.active if len(trial.results) <= rung)

    def is_best_measured(self, trial: TrialView, rung: int) -> bool:
        """Whether it is the best so far at a rung in a group that the recommendation is measured against."""
        if trial.control not in MEASURED_AGAINST:
            return False
        group = (other for other in self.order(rung) if other.control is trial.control and not has_failed(other))
        return next(group).number == trial.number


def loss_at(trial: TrialView, rung: int) -> float:
    """Its loss at a rung; infinite when it diverged there."""
    loss = trial.results[rung].loss
    return math.inf if loss is None else loss


def last_rung(trial: TrialView) -> int:
    """The rung of its last result; -1 before the first."""
    return len(trial.results) - 1


def has_diverged(trial: TrialView) -> bool:
    """Whether its last result is that it diverged."""
    return bool(trial.results) and trial.results[-1].diverged


def has_failed(trial: TrialView) -> bool:
    """Whether its workload failed."""
    return trial.status is TrialStatus.FAILED


def is_waiting(trial: TrialView) -> bool:
    """Whether it has a result, and neither runs nor is decided."""
    return trial.status is TrialStatus.ACTIVE and bool(trial.results) and not trial.running


def is_promoted(trial: TrialView, rung: int) -> bool:
    """Whether a run of the rung after ``rung`` was requested."""
    requested = len(trial.results) + (trial.running or has_failed(trial))
    return requested > rung + 1


def after(state: StudyState, decision: Decision) -> StudyState:
    """The state after a decision, before any run finishes.

    Args:
        state: The state of the decision.
        decision: One of the plan's.

    Returns:
        A new state.
    """
    steps = rung_steps(state.settings)
    match decision:
        case NewTrial():
            trial = TrialView(
                number=decision.number,
                cohort=decision.cohort,
                control=decision.control,
                status=TrialStatus.ACTIVE,
                schedule=decision.schedule,
                options=decision.options,
                results=(),
                running=True,
            )
            return _spend(replace(state, trials=(*state.trials, trial)), steps[0])
        case Promote():
            return _spend(_with(state, replace(state.trials[decision.trial], running=True)), steps[decision.rung])
        case Prune():
            return _with(state, replace(state.trials[decision.trial], status=TrialStatus.PRUNED))
        case CompleteTrial():
            return _with(state, replace(state.trials[decision.trial], status=TrialStatus.COMPLETED))
        case Confirm():
            run = ConfirmView(trial=decision.trial, seed=decision.seed, finished=False, loss=None)
            return _spend(replace(state, confirmations=(*state.confirmations, run)), steps[-1])
        case Audit():
            audit = AuditView(trial=decision.trial, finished=False, loss=None)
            return _spend(replace(state, audits=(*state.audits, audit)), steps[-1])
        case _:
            return state


def _with(state: StudyState, trial: TrialView) -> StudyState:
    return replace(state, trials=(*state.trials[: trial.number], trial, *state.trials[trial.number + 1 :]))


def _spend(state: StudyState, updates: int) -> StudyState:
    return replace(state, updates_committed=state.updates_committed + updates)
