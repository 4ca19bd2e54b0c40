"""Which trials are promoted from a rung, and which are pruned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tuner.search.decision.budget import Budget
from tuner.search.decision.decisions import TrialView
from tuner.search.decision.standings import Standings, has_diverged, loss_at


@dataclass(frozen=True, kw_only=True)
class RungDecision:
    """Whether a trial that waits at a rung is promoted or pruned."""

    trial: TrialView
    promoted: bool
    reason: str


class Pruner:
    """Decides which of the trials that wait at a rung are promoted, and which are pruned.

    A trial is decided when every active peer of its cohort has a result at the rung. It is promoted if it is among the
    best share of all results at the rung, those of other cohorts included, and the quota is not used up: the promoted
    trials never exceed that share of the results. Beyond the quota it is promoted if it is the best so far of a group
    of controls that the recommendation is measured against.

    Args:
        standings: The state of the study.
        budget: Of the study.
        more_trials: Whether another trial may be opened, so that the newest cohort is not complete yet.
    """

    def __init__(self, standings: Standings, *, budget: Budget, more_trials: bool) -> None:
        self._standings = standings
        self._budget = budget
        self._more_trials = more_trials

    def decide(self) -> Iterator[RungDecision]:
        """Decide all trials that can be decided now, the lowest rung first, at each the best first."""
        standings = self._standings
        for rung in range(standings.top):
            free = standings.quota(rung) - standings.quota_used(rung)
            incomplete = {peer.cohort for peer in standings.pending(rung)}
            for trial in standings.waiting(rung):
                if has_diverged(trial) or trial.cohort in incomplete or not self._is_full(trial.cohort):
                    continue
                decision = self._decide(trial, rung, free=free)
                free -= decision.promoted
                yield decision

    def certain_promotions(self) -> Iterator[RungDecision]:
        """The trials that are promoted at any result of the pending runs."""
        standings = self._standings
        for rung in range(standings.top):
            pending = tuple(standings.pending(rung))
            quota = standings.quota(rung, pending=len(pending))
            free = quota - standings.quota_used(rung)
            rivals = {other.control for other in pending}
            for ahead, trial in enumerate(standings.waiting(rung)):
                by_rank = standings.rank(trial, rung) + len(pending) <= quota and ahead + len(pending) < free
                as_control = standings.is_best_measured(trial, rung) and trial.control not in rivals
                if (by_rank or as_control) and not has_diverged(trial) and self._budget.allows_promotion(trial):
                    reason = f"{self._result(trial, rung)}; sure to be promoted (results to come: {len(pending)})"
                    yield RungDecision(trial=trial, promoted=True, reason=reason)

    def _decide(self, trial: TrialView, rung: int, *, free: int) -> RungDecision:
        standings = self._standings
        quota = standings.quota(rung)
        result = self._result(trial, rung)
        promoted = True
        in_rank = standings.rank(trial, rung) <= quota
        if in_rank and free > 0:
            reason = f"{result}; the best {quota} are promoted"
        elif standings.is_best_measured(trial, rung):
            reason = f"{result}; the best {trial.control} control is promoted, to measure the recommendation against"
        elif self._has_updates_left:
            reason = f"{result}; no new trial can be paid for, and what is left of the updates pays for this one"
        else:
            promoted = False
            taken = ", and as many were" if in_rank else ""
            reason = f"{result}; the best {quota} are promoted{taken}"
        if promoted and not self._budget.allows_promotion(trial):
            promoted = False
            reason = f"{result}; the rest of the {standings.settings.max_updates:,} updates is reserved for the best"
        return RungDecision(trial=trial, promoted=promoted, reason=reason)

    @property
    def _has_updates_left(self) -> bool:
        """Whether the limit of updates alone prevents new trials, so that the rest of it promotes the best.

        `Budget.allows_promotion` then decides whether that pays for a run.
        """
        standings = self._standings
        return (
            not self._more_trials and standings.state.stop is None and len(standings.trials) < standings.settings.trials
        )

    def _is_full(self, cohort: int) -> bool:
        """Whether no more trials will join a cohort."""
        standings = self._standings
        return not self._more_trials or len(standings.trials) >= (cohort + 1) * standings.settings.cohort

    def _result(self, trial: TrialView, rung: int) -> str:
        standings = self._standings
        return (
            f"rank {standings.rank(trial, rung)} of {len(standings.order(rung))} "
            f"at {standings.steps[rung]:,} updates ({standings.state.metric.described(loss_at(trial, rung))})"
        )
