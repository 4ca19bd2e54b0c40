"""The plan: from the state of a study, what to do next, each step with its reason.

Trials are tried in cohorts. A cohort's trials run the lowest rung; when the last of its peers has its result, those
among the best share of *all* results at that rung are promoted, the others are pruned, and so on up to the full
horizon. While a cohort waits for its last peers, free devices start the next one. When every trial is decided, some of
the pruned are trained to the end, to measure what pruning lost, and the best are confirmed on fresh seeds, together
with the controls that the recommendation is measured against. A study that should stop opens no more trials, or
requests no runs at all.

The plan is pure: no clock, no randomness, no database. It is a list of rules. The first rule with a decision decides;
its decisions are applied to a copy of the state, and the rules are evaluated again. A rule that closes trials returns
all decisions that do not affect each other, so that a large cohort is closed at once; the other rules return one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Final

from tuner.search.decision.budget import Budget
from tuner.search.decision.confirmation import SETTLING_SEEDS, candidates, missing_audits, missing_confirmations
from tuner.search.decision.controls import control_of
from tuner.search.decision.decisions import (
    Audit,
    CompleteTrial,
    Confirm,
    Control,
    Decision,
    Finish,
    GiveUp,
    NewTrial,
    Promote,
    Prune,
    StudyState,
)
from tuner.search.decision.pruning import Pruner, RungDecision
from tuner.search.decision.rungs import confirm_seeds
from tuner.search.decision.standings import Standings, after, has_diverged, has_failed, last_rung, loss_at

_HOPELESS_FAILURES: Final = 3
_WHY_OPENED: Final = {
    Control.START: "a start schedule",
    Control.DEFAULT: "control: linear warm-up and cosine to zero, which most people use",
    Control.CONSTANT: "control: a constant rate, to see whether a schedule is worth it",
}


def plan(state: StudyState, *, capacity: int) -> tuple[Decision, ...]:
    """Decide what comes next.

    Args:
        state: The study.
        capacity: Runs to request at most: the idle devices. At 0 only trials are closed, or the study.

    Returns:
        The decisions in the order in which to apply them; at most ``capacity`` of them request a run. Empty while runs
        have to finish first. `Finish` or `GiveUp` comes last, and ends the study without waiting for running runs.

    Raises:
        InvalidValue: The study gives up because all diverged, and its settings lack a search space.
    """
    decisions: list[Decision] = []
    free = capacity
    while taken := _next(_Situation(state), free=free > 0):
        decisions.extend(taken)
        if isinstance(taken[-1], Finish | GiveUp):
            break
        for decision in taken:
            state = after(state, decision)
            free -= isinstance(decision, NewTrial | Promote | Confirm | Audit)
    return tuple(decisions)


def leading_ends(decisions: Sequence[Decision]) -> tuple[Prune | CompleteTrial, ...]:
    """The ends of trials at the head of a plan: they apply in any case, and may end the search."""
    ends: list[Prune | CompleteTrial] = []
    for decision in decisions:
        if not isinstance(decision, Prune | CompleteTrial):
            break
        ends.append(decision)
    return tuple(ends)


class _Situation:
    """A state, with what the rules read of it."""

    def __init__(self, state: StudyState) -> None:
        self.state = state
        self.settings = state.settings
        self.standings = Standings(state)
        self.budget = Budget(self.standings)
        self.failed = sum(map(has_failed, state.trials))
        self.hopeless = self.failed >= _HOPELESS_FAILURES and not any(trial.results for trial in state.trials)
        self.next_control = control_of(len(state.trials), settings=self.settings)
        self.may_open = self._may_open()
        self.pruner = Pruner(self.standings, budget=self.budget, more_trials=self.may_open)

    @cached_property
    def rung_decisions(self) -> tuple[RungDecision, ...]:
        """Promotion or pruning of the trials that can be decided now."""
        return tuple(self.pruner.decide())

    @property
    def searching(self) -> bool:
        """Whether any trial is undecided or still to come."""
        return bool(self.standings.active) or self.may_open

    def _may_open(self) -> bool:
        if self.hopeless or self.state.stop is not None or len(self.state.trials) >= self.settings.trials:
            return False
        return self.budget.allows_trial(self.next_control)


def _next(situation: _Situation, *, free: bool) -> tuple[Decision, ...]:
    """The decisions of the first rule that has any."""
    stop = situation.state.stop
    at_once = stop is not None and stop.at_once
    for closing in _CLOSING_AT_ONCE if at_once else _CLOSING:
        if decisions := tuple(closing(situation)):
            return decisions
    if at_once:
        return (_end_at_once(situation),)
    for rule in (*(_RUNNING if free else ()), *_ENDING):
        if (decision := rule(situation)) is not None:
            return (decision,)
    return ()


def _prune_diverged(situation: _Situation) -> Iterator[Decision]:
    for trial in situation.standings.active:
        if has_diverged(trial):
            rung = last_rung(trial)
            reason = f"it diverged in its run of {situation.standings.steps[rung]:,} updates"
            yield Prune(trial=trial.number, rung=rung, reason=reason)


def _complete(situation: _Situation) -> Iterator[Decision]:
    top = situation.standings.top
    for trial in situation.standings.active:
        if last_rung(trial) == top:
            result = situation.standings.state.metric.described(loss_at(trial, top))
            yield CompleteTrial(trial=trial.number, reason=f"trained to the full horizon ({result})")


def _prune_losers(situation: _Situation) -> Iterator[Decision]:
    """Prune the losers of the lowest rung that has any, as far as the end of one does not affect the next."""
    losers = [decision for decision in situation.rung_decisions if not decision.promoted]
    for decision in losers:
        trial, rung = decision.trial, last_rung(decision.trial)
        if rung > last_rung(losers[0].trial):
            return  # its peers at this rung may have waited for those that are pruned below
        yield Prune(trial=trial.number, rung=rung, reason=decision.reason)
        if situation.budget.is_reserved_for(trial):
            return  # what the others may spend changes


def _promote(situation: _Situation) -> Decision | None:
    winners = (decision for decision in situation.rung_decisions if decision.promoted)
    first = min(winners, key=lambda decision: decision.trial.cohort, default=None)
    return None if first is None else _promotion(first)


def _open(situation: _Situation) -> Decision | None:
    if not situation.may_open:
        return None
    number, control = len(situation.state.trials), situation.next_control
    schedule = situation.settings.start[number] if control is Control.START else None
    results = _count(len(situation.standings.order(0)), "result")
    reason = f"the most promising after {results}" if control is None else _WHY_OPENED[control]
    cohort = number // situation.settings.cohort
    options = () if schedule is None else situation.state.usual_options
    return NewTrial(number=number, cohort=cohort, control=control, schedule=schedule, options=options, reason=reason)


def _promote_early(situation: _Situation) -> Decision | None:
    decision = next(situation.pruner.certain_promotions(), None)
    return None if decision is None else _promotion(decision)


def _confirm(situation: _Situation) -> Decision | None:
    if situation.searching or not situation.budget.allows_confirmation():
        return None
    if any(not audit.finished for audit in situation.state.audits):
        return None  # it may turn out to be one of the best
    return next(missing_confirmations(situation.standings), None)


def _audit(situation: _Situation) -> Decision | None:
    if situation.searching or not situation.standings.completed or not situation.budget.allows_audit():
        return None
    return next(missing_audits(situation.standings), None)


def _give_up(situation: _Situation) -> Decision | None:
    if situation.searching or situation.standings.completed:
        return None
    return GiveUp(reason=_why_without_result(situation))


def _end_at_once(situation: _Situation) -> Decision:
    """The end of a study that stops at once."""
    if situation.standings.completed:
        return Finish(reason=_why_finished(situation, cut_short=True))
    return GiveUp(reason=_why_without_result(situation))


def _finish(situation: _Situation) -> Decision | None:
    state = situation.state
    out = not all(run.finished for run in state.confirmations) or not all(run.finished for run in state.audits)
    missing = next(missing_confirmations(situation.standings), None)
    if situation.searching or out or (missing is not None and situation.budget.allows_confirmation()):
        return None
    return Finish(reason=_why_finished(situation, cut_short=missing is not None))


_CLOSING: Final[tuple[Callable[[_Situation], Iterator[Decision]], ...]] = (_prune_diverged, _complete, _prune_losers)
_CLOSING_AT_ONCE: Final = (_prune_diverged, _complete)
_RUNNING: Final[tuple[Callable[[_Situation], Decision | None], ...]] = (
    _promote,
    _open,
    _promote_early,
    _audit,
    _confirm,
)
_ENDING: Final[tuple[Callable[[_Situation], Decision | None], ...]] = (_give_up, _finish)


def _promotion(decision: RungDecision) -> Promote:
    return Promote(trial=decision.trial.number, rung=last_rung(decision.trial) + 1, reason=decision.reason)


def _why_finished(situation: _Situation, *, cut_short: bool) -> str:
    settings, stop = situation.settings, situation.state.stop
    opened, chosen = len(situation.state.trials), candidates(situation.standings)
    seeds = confirm_seeds(settings)
    # Trials that were confirmed before the search continued may be candidates no more.
    runs = [run for run in situation.state.confirmations if run.trial in chosen and run.seed in seeds]
    asked = len(chosen) * settings.confirm_seeds if cut_short else len(runs)
    with_loss = sum(run.loss is not None for run in runs)
    if cut_short or opened < settings.trials:
        unfinished = sum(not run.finished for run in runs)
        without = len(runs) - unfinished - with_loss
        lost = f", of which {without} failed or diverged" if without else ""
        early = stop.reason if stop is not None else f"the limit of {settings.max_updates:,} updates is reached"
        return (
            f"{early}: {opened} of {_count(settings.trials, 'trial')} were tried, and {len(runs) - unfinished} of "
            f"{asked} confirmation runs made{lost}"
        )
    decided = f"all {_count(opened, 'trial')} are decided"
    if not seeds:
        return f"{decided}; nothing was to be confirmed"
    if with_loss == asked:
        return f"{decided} and {len(chosen)} of them confirmed on {_fresh_seeds(settings.confirm_seeds)}"
    return (
        f"{decided}, and {with_loss} of {asked} confirmation runs ({_count(len(chosen), 'trial')} on "
        f"{_fresh_seeds(settings.confirm_seeds)}) ended with a loss: the others failed or diverged"
    )


def _fresh_seeds(most: int) -> str:
    """Candidates that are settled are left out of the later ones."""
    return f"up to {most} fresh seeds" if most > SETTLING_SEEDS else f"{_count(most, 'fresh seed')}"


def _why_without_result(situation: _Situation) -> str:
    trials, stop = situation.state.trials, situation.state.stop
    if stop is not None and stop.at_once:
        return f"{stop.reason}, and no trial had reached the full horizon: raise the limit and try the job again"
    if not trials:
        return (
            f"max_updates ({situation.settings.max_updates:,}) does not pay for a recommendation: "
            f"raise it, or lower total_steps ({situation.settings.total_steps:,})"
        )
    diverged = sum(map(has_diverged, trials))
    if situation.failed == len(trials):
        hint = "the workload does not run"
    elif diverged + situation.failed == len(trials):
        peaks = situation.settings.searched_space.peak_lr
        hint = f"lower the range of peak_lr ({peaks.low:g} to {peaks.high:g})"
    else:
        hint = "the peak learning rates that are best in short runs diverge in long ones: lower the range of peak_lr"
    return (
        f"no trial reached the full horizon: of {_count(len(trials), 'trial')}, {situation.failed} failed "
        f"and {diverged} diverged; {hint}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
