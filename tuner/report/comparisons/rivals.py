"""What a recommendation is compared with: the incumbent, a plain constant rate, schedules without warm-up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuner.report.evidence import Evidence
from tuner.report.report import Rival
from tuner.schedules import Constant
from tuner.search.decision.decisions import Role, RunStatus, TrialView
from tuner.search.decision.incumbent import incumbent_of
from tuner.search.worth import Normal


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of a rival."""

    trial: TrialView | None
    loss: Normal | None = None
    """Its expected loss where the estimates have none: the forecast of a run that was stopped, or the mean of runs that
    ended too far from the best for the model."""
    forecast: bool = False
    """Whether ``loss`` is the forecast of a run that was stopped."""
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
    stable = [trial for trial in numbers if not evidence.diverged(trial)]
    measured = {trial: loss for trial in stable if (loss := _measured(trial, evidence=evidence)) is not None}
    if measured:
        best = min(measured, key=lambda trial: measured[trial].mean)
        return Standing(trial=evidence.view(best), loss=measured[best])
    stopped = [
        (run.loss, run)
        for run in state.runs
        if run.trial in stable and run.status is RunStatus.STOPPED and run.loss is not None
    ]
    if stopped:
        mean, run = min(stopped, key=lambda one: one[0])
        return Standing(trial=evidence.view(run.trial), loss=Normal(mean=mean, std=run.std), forecast=True)
    diverged = next((trial for trial in numbers if evidence.diverged(trial)), None)
    if diverged is not None:
        return Standing(trial=evidence.view(diverged), diverged=evidence.diverged(diverged))
    return Standing(trial=None)


def _measured(trial: int, *, evidence: Evidence) -> Normal | None:
    """The mean loss of a trial's finished runs, with its standard error; ``None`` without any."""
    losses = [run.loss for run in evidence.results(trial) if run.loss is not None]
    if not losses:
        return None
    return Normal(mean=math.fsum(losses) / len(losses), std=evidence.estimates.noise_std / math.sqrt(len(losses)))


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
