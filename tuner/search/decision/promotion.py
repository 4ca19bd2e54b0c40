"""Who goes on from a rung, and who is pruned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tuner.search.decision.budget import Budget
from tuner.search.decision.decisions import TrialView
from tuner.search.decision.standings import Standings, has_diverged, loss_at


@dataclass(frozen=True, kw_only=True)
class Judgment:
    """What becomes of a trial that waits at a rung."""

    trial: TrialView
    goes_on: bool
    reason: str


class Judge:
    """Judges the trials that wait at a rung.

    A trial is judged when every peer of its cohort that is still in the race has a result at the rung. It goes on if it
    is among the best share of all results at the rung, those of other cohorts included, and a place is left: the trials
    that have gone on never exceed that share of the results. Over and above it goes on if it is the best so far of a
    group of controls that the answer is measured against.

    Args:
        standings: The state of the study.
        budget: What may still be spent.
        more_trials: Whether another trial may be opened, so that the newest cohort is not complete yet.
    """

    def __init__(self, standings: Standings, *, budget: Budget, more_trials: bool) -> None:
        self._standings = standings
        self._budget = budget
        self._more_trials = more_trials

    def judge(self) -> Iterator[Judgment]:
        """Judge all trials that can be judged now, the lowest rung first, at each the best first."""
        standings = self._standings
        for rung in range(standings.top):
            free = standings.places(rung) - standings.places_taken(rung)
            out = {peer.cohort for peer in standings.pending(rung)}
            for trial in standings.waiting(rung):
                if has_diverged(trial) or trial.cohort in out or not self._is_full(trial.cohort):
                    continue
                judgment = self._judge(trial, rung, free=free)
                free -= judgment.goes_on
                yield judgment

    def certain(self) -> Iterator[Judgment]:
        """Find the trials that will go on whatever becomes of the runs that are still out."""
        standings = self._standings
        for rung in range(standings.top):
            pending = tuple(standings.pending(rung))
            places = standings.places(rung, pending=len(pending))
            free = places - standings.places_taken(rung)
            rivals = {other.control for other in pending}
            for ahead, trial in enumerate(standings.waiting(rung)):
                by_rank = standings.rank(trial, rung) + len(pending) <= places and ahead + len(pending) < free
                as_control = standings.is_best_measured(trial, rung) and trial.control not in rivals
                if (by_rank or as_control) and not has_diverged(trial) and self._budget.allows_promotion(trial):
                    reason = f"{self._result(trial, rung)}; sure to go on (results to come: {len(pending)})"
                    yield Judgment(trial=trial, goes_on=True, reason=reason)

    def _judge(self, trial: TrialView, rung: int, *, free: int) -> Judgment:
        standings = self._standings
        places = standings.places(rung)
        result = self._result(trial, rung)
        goes_on = True
        in_rank = standings.rank(trial, rung) <= places
        if in_rank and free > 0:
            reason = f"{result}; the best {places} go on"
        elif standings.is_best_measured(trial, rung):
            reason = f"{result}; the best {trial.control} control goes on, to measure the answer against"
        elif self._has_updates_left:
            reason = f"{result}; no new trial can be paid for, and what is left of the updates pays for this one"
        else:
            goes_on = False
            taken = ", and as many have" if in_rank else ""
            reason = f"{result}; the best {places} go on{taken}"
        if goes_on and not self._budget.allows_promotion(trial):
            goes_on = False
            reason = f"{result}; what is left of the {standings.settings.max_updates:,} updates is kept for the best"
        return Judgment(trial=trial, goes_on=goes_on, reason=reason)

    @property
    def _has_updates_left(self) -> bool:
        """Whether the limit of updates alone keeps the search from opening trials: what is left of it goes to the best.

        Whether that pays for a run is another question.
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
            f"at {standings.steps[rung]:,} updates (loss {loss_at(trial, rung):.4g})"
        )
