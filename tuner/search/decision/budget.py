"""How many updates are left, and what may be spent on without endangering the answer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property

from tuner.search.decision.decisions import MEASURED_AGAINST, Control, TrialStatus, TrialView
from tuner.search.decision.rungs import reserved_seeds, reserved_trials
from tuner.search.decision.standings import Standings, has_diverged, last_rung, loss_at
from tuner.search.settings import SearchSettings

Role = Control | None
"""Who is needed for an answer: a trial of each measured group of controls, and (``None``) one of all others."""


class Budget:
    """What ``max_updates`` still allows.

    An answer needs one trial in each role, trained to the horizon and confirmed. What that takes from here is kept
    free: other trials are opened and promoted only out of what lies above it.

    Args:
        standings: The state of the study.
    """

    def __init__(self, standings: Standings) -> None:
        self._standings = standings
        self._steps = standings.steps
        self._roles = _roles(standings.settings)
        limit = standings.settings.max_updates
        self.left: float = math.inf if limit is None else limit - standings.state.updates_committed
        """Updates that may still be asked for; infinite without a limit."""

    def allows_trial(self, control: Control | None) -> bool:
        """Whether a new trial may be opened: its first run is paid for without touching the reserve.

        Where it is the first in its role, the reserve is for all of its runs.
        """
        first = not any(_role(trial.control) == _role(control) for trial in self._standings.trials)
        own = 0 if first and _role(control) in self._roles else self._steps[0]
        return self.left == math.inf or own + self._promotions_due + self._reserve <= self.left

    def allows_promotion(self, trial: TrialView) -> bool:
        """Whether the next rung of a trial may be run: always out of the reserve for those that it is kept for."""
        if self.left == math.inf:
            return True
        cost = self._steps[len(trial.results)]
        return cost <= self.left if self.is_kept_for(trial) else cost + self._reserve <= self.left

    def is_kept_for(self, trial: TrialView) -> bool:
        """Whether a part of the reserve is kept for this trial; never without a limit."""
        return self.left < math.inf and trial in self._leaders.values()

    def allows_audit(self) -> bool:
        """Whether a pruned trial may be trained to the horizon, without touching what confirmation takes."""
        return self._steps[-1] + self._confirmation <= self.left

    def allows_confirmation(self) -> bool:
        """Whether one more run at the horizon may be asked for."""
        return self._steps[-1] <= self.left

    @property
    def _promotions_due(self) -> int:
        """Updates that it takes to promote the share of the trials that goes on, were there one trial more.

        The way of the leader is in the reserve.
        """
        if len(self._steps) == 1:
            return 0
        trials = self._standings.trials
        due = self._standings.settings.keep * (len(trials) + 1)
        gone_on = sum(len(trial.results) + trial.running > 1 for trial in trials)
        return max(0, math.floor((due - max(gone_on, 1)) * sum(self._steps[1:])))

    @cached_property
    def _reserve(self) -> int:
        """Updates that are kept free."""
        return self._way_of(self._roles) + self._confirmation

    @cached_property
    def _leaders(self) -> dict[Role, TrialView | None]:
        """By role, the trial that will fill it as things stand."""
        return {role: self._leader(role) for role in self._roles}

    @property
    def _confirmation(self) -> int:
        settings = self._standings.settings
        return reserved_trials(settings) * reserved_seeds(settings) * settings.total_steps

    def _way_of(self, roles: Iterable[Role]) -> int:
        """Updates until there is a trial at the horizon in each of these roles."""
        return sum(self._way(role) for role in roles)

    def _way(self, role: Role) -> int:
        if not any(_role(trial.control) == role for trial in self._standings.trials):
            return sum(self._steps)
        leader = self._leaders[role]
        if leader is None or leader.status is TrialStatus.COMPLETED:
            return 0
        return sum(self._steps[len(leader.results) + leader.running :])

    def _leader(self, role: Role) -> TrialView | None:
        """The furthest of the trials that may still fill a role, and of those the best."""
        hopefuls = (
            trial
            for trial in self._standings.trials
            if _role(trial.control) == role
            and trial.status in (TrialStatus.ACTIVE, TrialStatus.COMPLETED)
            and not has_diverged(trial)
        )
        return min(hopefuls, key=_by_lead, default=None)


def _roles(settings: SearchSettings) -> tuple[Role, ...]:
    if not settings.controls:
        return (None,)
    return (Control.DEFAULT, Control.CONSTANT, None)[: reserved_trials(settings)]


def _role(control: Control | None) -> Role:
    return control if control in MEASURED_AGAINST else None


def _by_lead(trial: TrialView) -> tuple[int, float, int]:
    return (-len(trial.results), loss_at(trial, last_rung(trial)) if trial.results else math.inf, trial.number)
