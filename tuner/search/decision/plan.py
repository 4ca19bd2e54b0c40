"""The plan: from the state of a study, what to do next, each step with its reason.

Every run trains a whole schedule at the horizon. The next run is a new configuration or another seed of a known one,
whichever is worth most to the recommendation per update (`tuner.search.decision.choice`); where nothing is worth its
cost, or the budget is spent, the study finishes. A study that should stop opens no more trials, or requests no runs at
all.

The plan is pure: no clock, no database, and randomness from the search's seed alone. The first rule with a decision
decides; its decisions are applied to a copy of the state, and the rules are evaluated again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from tuner.search.configuration import Configuration
from tuner.search.decision.choice import Proposer, Spent, choose
from tuner.search.decision.decisions import (
    RANGE_TEST_TRIAL,
    CompleteTrial,
    Decision,
    Finish,
    GiveUp,
    NewTrial,
    Prune,
    Replicate,
    RunStatus,
    RunView,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.decision.range_test import after_range_test, next_of_range_test, test_lacks_runs
from tuner.search.settings import PrunerName

_HOPELESS_FAILURES: Final = 3
_HOPELESS_DIVERGENCES: Final = 12
_ONE_REGIME: Final = 2.0
"""Ratio of two peaks up to which runs may end at the same update because of their rate."""


def plan(
    state: StudyState,
    *,
    capacity: int,
    pool: Sequence[Configuration] | None = None,
    proposer: Proposer | None = None,
) -> tuple[Decision, ...]:
    """Decide what comes next.

    Args:
        state: The study.
        capacity: Runs to request at most: the idle devices. At 0 only trials are closed, or the study.
        pool: The only configurations that can be trained (those of a table of recorded runs); the whole space when
            absent.
        proposer: Of the settings' sampler, where that is another than our own
            (`tuner.search.optuna.samplers.proposer_of`).

    Returns:
        The decisions in the order in which to apply them; at most ``capacity`` of them request a run. Empty while runs
        have to finish first. `Finish` or `GiveUp` comes last, and ends the study without waiting for running runs.

    Raises:
        InvalidValue: The settings lack a search space.
    """
    decisions: list[Decision] = []
    while taken := _next(state, free=capacity > 0, pool=pool, proposer=proposer):
        decisions.extend(taken)
        if isinstance(taken[-1], Finish | GiveUp):
            break
        for decision in taken:
            state = after(state, decision)
            capacity -= isinstance(decision, NewTrial | Replicate)
    return tuple(decisions)


def leading_ends(decisions: Sequence[Decision]) -> tuple[Prune | CompleteTrial, ...]:
    """The ends of trials at the head of a plan: they apply in any case, and may end the search."""
    ends: list[Prune | CompleteTrial] = []
    for decision in decisions:
        if not isinstance(decision, Prune | CompleteTrial):
            break
        ends.append(decision)
    return tuple(ends)


def may_request(state: StudyState) -> bool:
    """Whether another run may be requested: the budget pays for one, and nothing stops the study.

    Whether one is worth its cost is another question, which `plan` answers.
    """
    if (state.stop is not None and state.stop.at_once) or _is_hopeless(state):
        return False
    if test_lacks_runs(state):
        return True
    if state.settings.range_test is not None and state.settings.range_test.alone:
        return False
    return state.steps_committed + state.settings.total_steps <= state.settings.budget_steps


def after(state: StudyState, decision: Decision) -> StudyState:
    """The state after a decision, before any run finishes.

    Args:
        state: The state of the decision.
        decision: One of the plan's.

    Returns:
        A new state.
    """
    match decision:
        case NewTrial(number=number) | Replicate(trial=number) | Prune(trial=number) | CompleteTrial(trial=number) if (
            number == RANGE_TEST_TRIAL
        ):
            return after_range_test(state, decision)
        case NewTrial():
            trial = TrialView(
                number=decision.number,
                role=decision.role,
                status=TrialStatus.ACTIVE,
                configuration=decision.configuration,
            )
            return _with_run(replace(state, trials=(*state.trials, trial)), decision.number, seed=decision.seed)
        case Replicate():
            return _with_run(state, decision.trial, seed=decision.seed)
        case Prune():
            return _with_status(state, decision.trial, TrialStatus.PRUNED)
        case CompleteTrial():
            return _with_status(state, decision.trial, TrialStatus.COMPLETED)
        case _:
            return state


def _with_run(state: StudyState, trial: int, *, seed: int) -> StudyState:
    run = RunView(trial=trial, seed=seed, status=RunStatus.RUNNING, steps=state.settings.total_steps)
    return replace(state, runs=(*state.runs, run))


def _with_status(state: StudyState, number: int, status: TrialStatus) -> StudyState:
    trial = replace(state.trials[number], status=status)
    return replace(state, trials=(*state.trials[:number], trial, *state.trials[number + 1 :]))


def _next(
    state: StudyState, *, free: bool, pool: Sequence[Configuration] | None, proposer: Proposer | None
) -> tuple[Decision, ...]:
    """The decisions of the first rule that has any."""
    if (test := next_of_range_test(state, free=free)) is not None:
        return test
    if ends := tuple(_ends(state)):
        return ends
    if state.stop is not None and state.stop.at_once:
        return (_end(state, reason=state.stop.reason),)
    running = any(run.status is RunStatus.RUNNING for run in state.runs)
    if not may_request(state):
        return () if running else (_end(state, reason=_why_no_more(state)),)
    if not free:
        return ()
    choice = choose(state, pool=pool, proposer=proposer)
    if not isinstance(choice, Spent):
        return (choice,)
    return () if running else (_end(state, reason=choice.reason),)


def _ends(state: StudyState) -> Iterator[Prune | CompleteTrial]:
    """The ends of the active trials whose first run has ended."""
    for trial in state.trials:
        if trial.status is not TrialStatus.ACTIVE:
            continue
        first = state.runs_of(trial.number)[0]
        match first.status:
            case RunStatus.FINISHED if first.loss is not None:
                result = state.metric.described(first.loss)
                yield CompleteTrial(trial=trial.number, reason=f"trained to the full horizon ({result})")
            case RunStatus.DIVERGED:
                yield Prune(trial=trial.number, reason="it diverged")
            case RunStatus.STOPPED if first.loss is not None:
                result = state.metric.described(first.loss)
                yield Prune(trial=trial.number, reason=_why_stopped(state, steps=first.steps, forecast=result))


def _why_stopped(state: StudyState, *, steps: int, forecast: str) -> str:
    if state.settings.pruner is PrunerName.FORECAST:
        return f"stopped after {steps:,} updates: its forecast ({forecast}) left it almost no chance"
    return f"stopped after {steps:,} updates by pruner {state.settings.pruner} (its forecast was {forecast})"


def _is_hopeless(state: StudyState) -> bool:
    """Whether the workload fails on every run, or every run diverges: soon, so that the budget pays for thousands."""
    if any(run.status in (RunStatus.FINISHED, RunStatus.STOPPED) for run in state.runs):
        return False
    failed = sum(trial.status is TrialStatus.FAILED for trial in state.trials)
    diverged = sum(run.status is RunStatus.DIVERGED for run in state.runs)
    return diverged >= _HOPELESS_DIVERGENCES or (failed >= _HOPELESS_FAILURES and not diverged)


def _why_no_more(state: StudyState) -> str:
    return f"the budget of {_full_runs(state.settings.budget)} is spent"


def _end(state: StudyState, *, reason: str) -> Decision:
    if any(run.status is RunStatus.FINISHED for run in state.runs):
        spent = state.steps_committed / state.settings.total_steps
        if state.stop is not None and not state.stop.at_once:
            reason = f"{state.stop.reason}; {reason}"
        verb = "was" if state.settings.budget == 1 else "were"
        return Finish(reason=f"{reason}: {spent:.3g} of {_full_runs(state.settings.budget)} {verb} used")
    return GiveUp(reason=_why_without_result(state, reason=reason))


def _why_without_result(state: StudyState, *, reason: str) -> str:
    if state.stop is not None and state.stop.at_once:
        return f"{reason}, and no trial had reached the full horizon: raise the limit and try the job again"
    failed = sum(trial.status is TrialStatus.FAILED for trial in state.trials)
    diverged = sum(run.status is RunStatus.DIVERGED for run in state.runs)
    hint = "the workload does not run" if failed == len(state.trials) else _why_all_diverged(state)
    return (
        f"no trial reached the full horizon: of {_count(len(state.trials), 'trial')}, {failed} failed "
        f"and {diverged} diverged; {hint}"
    )


def _why_all_diverged(state: StudyState) -> str:
    """What to do where no run reached the horizon: a rate that is too high ends high peaks earlier than low ones."""
    diverged = [run for run in state.runs if run.status is RunStatus.DIVERGED]
    if not diverged:
        return "the errors of its runs say why"
    searched = state.settings.searched_space.peak_lr
    lower = f"lower the range of peak_lr ({searched.low:g} to {searched.high:g})"
    peaks = [state.trials[run.trial].configuration.schedule.peak_lr for run in diverged]
    ends = {run.steps for run in diverged}
    if len(ends) > 1 or max(peaks) < _ONE_REGIME * min(peaks):
        return lower
    return f"all after {_count(max(ends), 'update')} at any peak: look for NaN in the data, else {lower}"


def _full_runs(number: float) -> str:
    return f"{number:.3g} full run" if number == 1 else f"{number:.3g} full runs"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
