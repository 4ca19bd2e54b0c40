"""What a recommendation is compared with: the incumbent, a plain constant rate, schedules without warm-up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuner.report.evidence import Evidence
from tuner.report.report import Rival
from tuner.schedules import Constant
from tuner.search.decision.decisions import Role, RunStatus, RunView, TrialView
from tuner.search.decision.incumbent import incumbent_of


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of a rival."""

    trial: TrialView | None
    stopped: RunView | None = None
    """Its run that was stopped early, where it has no finished one: the forecast stands for its loss."""
    diverged: int = 0
    """Its runs that diverged, where that excludes a comparison."""


def is_rival(trial: int, *, rival: Rival, evidence: Evidence) -> bool:
    """Whether a trial is such a rival.

    A constant rate with a warm-up is no plain constant: it counts among the schedules that are compared with one.
    """
    view, total_steps = evidence.view(trial), evidence.result.total_steps
    schedule = view.configuration.schedule
    match rival:
        case Rival.INCUMBENT:
            return view.role is Role.INCUMBENT
        case Rival.CONSTANT:
            return isinstance(schedule.family, Constant) and schedule.warmup.length(total_steps) == 0
        case Rival.NO_WARMUP:
            return schedule.warmup.length(total_steps) == 0


def standing_of(rival: Rival, *, evidence: Evidence) -> Standing:
    """The best of such rivals: one that finished, else the forecast of one that was stopped, else one that diverged."""
    state = evidence.result.state
    numbers = [trial.number for trial in state.trials if is_rival(trial.number, rival=rival, evidence=evidence)]
    finished = next((trial for trial in evidence.stable if trial in numbers), None)
    if finished is not None:
        return Standing(trial=evidence.view(finished))
    diverged = next((trial for trial in numbers if evidence.diverged(trial)), None)
    stopped = [
        run
        for run in state.runs
        if run.trial in numbers and run.status is RunStatus.STOPPED and not evidence.diverged(run.trial)
    ]
    if stopped:
        run = min(stopped, key=lambda one: math.inf if one.loss is None else one.loss)
        return Standing(trial=evidence.view(run.trial), stopped=run)
    if diverged is not None:
        return Standing(trial=evidence.view(diverged), diverged=evidence.diverged(diverged))
    return Standing(trial=None)


def best_against(rival: Rival, *, evidence: Evidence) -> int | None:
    """The trial that is compared with a rival: the recommended one, or the best that is no such rival itself."""
    recommended, *rest = evidence.estimates.recommended, *evidence.stable
    others = [trial for trial in (recommended, *rest) if not is_rival(trial, rival=rival, evidence=evidence)]
    return next((trial for trial in others if not evidence.diverged(trial)), None)


def label_of_rival(rival: Rival, *, standing: Standing, evidence: Evidence) -> str:
    """The label of the rival's schedule; of the incumbent also where it was not trained, else empty then."""
    if standing.trial is not None:
        return standing.trial.configuration.label
    return incumbent_of(evidence.result.state).label if rival is Rival.INCUMBENT else ""


def constants_have_warmup(rival: Rival, *, evidence: Evidence) -> bool:
    """Whether the only constant rates that reached the horizon have a warm-up."""
    return rival is Rival.CONSTANT and any(
        isinstance(evidence.view(trial).configuration.schedule.family, Constant) for trial in evidence.stable
    )
