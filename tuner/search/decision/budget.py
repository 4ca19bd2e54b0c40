"""The budget in updates: what is left, and what may be spent without endangering a recommendation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property

from tuner.search.decision.decisions import MEASURED_AGAINST, Control, TrialStatus, TrialView
from tuner.search.decision.rungs import reserved_seeds, reserved_trials
from tuner.search.decision.standings import Standings, has_diverged, last_rung, loss_at
from tuner.search.settings import SearchSettings

Role = Control | None
"""A recommendation needs a trial in each role: each measured group of controls, and (``None``) all others."""


class Budget:
    """What ``max_updates`` still allows.

    A recommendation needs one trial in each role, trained to the horizon and confirmed. The cost of that is reserved:
    other trials are opened and promoted only out of what lies above it.

    Args:
        standings: The state of the study.
    """

    def __init__(self, standings: Standings) -> None:
        self._standings = standings
        self._steps = standings.steps
        self._roles = _roles(standings.settings)
        limit = standings.settings.max_updates
        self.left: float = math.inf if limit is None else limit - standings.state.updates_committed
        """Updates that may still be requested; infinite without a limit."""

    def allows_trial(self, control: Control | None) -> bool:
        """Whether a new trial may be opened: its first run is paid for without the reserve.

        Where it is the first in its role, the reserve is for all of its runs.
        """
        first = not any(_role(trial.control) == _role(control) for trial in self._standings.trials)
        own = 0 if first and _role(control) in self._roles else self._steps[0]
        return self.left == math.inf or own + self._promotions_due + self._reserve <= self.left

    def allows_promotion(self, trial: TrialView) -> bool:
        """Whether the next rung of a trial may be run: out of the reserve for those that have a part of it."""
        if self.left == math.inf:
            return True
        cost = self._steps[len(trial.results)]
        return cost <= self.left if self.is_reserved_for(trial) else cost + self._reserve <= self.left

    def is_reserved_for(self, trial: TrialView) -> bool:
        """Whether a part of the reserve belongs to this trial; never without a limit."""
        return self.left < math.inf and trial in self._leaders.values()

    def allows_audit(self) -> bool:
        """Whether a pruned trial may be trained to the horizon, without the reserve for confirmation."""
        return self._steps[-1] + self._confirmation <= self.left

    def allows_confirmation(self) -> bool:
        """Whether one more run at the horizon may be requested."""
        return self._steps[-1] <= self.left

    @property
    def _promotions_due(self) -> int:
        """Updates that it takes to promote the ``keep`` share of the trials, with one trial more.

        The promotion of the leader is in the reserve.
        """
        if len(self._steps) == 1:
            return 0
        trials = self._standings.trials
        due = self._standings.settings.keep * (len(trials) + 1)
        promoted = sum(len(trial.results) + trial.running > 1 for trial in trials)
        return max(0, math.floor((due - max(promoted, 1)) * sum(self._steps[1:])))

    @cached_property
    def _reserve(self) -> int:
        """Reserved updates."""
        return self._updates_to_horizon(self._roles) + self._confirmation

    @cached_property
    def _leaders(self) -> dict[Role, TrialView | None]:
        """By role, the trial that currently leads it."""
        return {role: self._leader(role) for role in self._roles}

    @property
    def _confirmation(self) -> int:
        settings = self._standings.settings
        return reserved_trials(settings) * reserved_seeds(settings) * settings.total_steps

    def _updates_to_horizon(self, roles: Iterable[Role]) -> int:
        """Updates until there is a trial at the horizon in each of these roles."""
        return sum(self._updates_of(role) for role in roles)

    def _updates_of(self, role: Role) -> int:
        if not any(_role(trial.control) == role for trial in self._standings.trials):
            return sum(self._steps)
        leader = self._leaders[role]
        if leader is None or leader.status is TrialStatus.COMPLETED:
            return 0
        return sum(self._steps[len(leader.results) + leader.running :])

    def _leader(self, role: Role) -> TrialView | None:
        """The furthest of the trials that may still fill a role, and of those the best."""
        eligible = (
            trial
            for trial in self._standings.trials
            if _role(trial.control) == role
            and trial.status in (TrialStatus.ACTIVE, TrialStatus.COMPLETED)
            and not has_diverged(trial)
        )
        return min(eligible, key=_by_lead, default=None)


def _roles(settings: SearchSettings) -> tuple[Role, ...]:
    if not settings.controls:
        return (None,)
    return (Control.DEFAULT, Control.CONSTANT, None)[: reserved_trials(settings)]


def _role(control: Control | None) -> Role:
    return control if control in MEASURED_AGAINST else None


def _by_lead(trial: TrialView) -> tuple[int, float, int]:
    return (-len(trial.results), loss_at(trial, last_rung(trial)) if trial.results else math.inf, trial.number)
