"""The input of a report: the results of one study."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tuner.errors import InvalidValue
from tuner.jobs.records import CurvePoint
from tuner.jobs.spec import DEFAULT_LONGER
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Schedule
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Control, TrialStatus

if TYPE_CHECKING:
    from tuner.search.optuna.importances import Importances


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """A trial and its results."""

    number: int
    control: Control | None
    configuration: Configuration
    status: TrialStatus
    losses: tuple[float | None, ...]
    """Loss at the end of each finished rung, from rung 0 up; ``None`` when it diverged there."""
    reason: str
    """Why it ended, or why it was created when it has not ended."""

    @property
    def schedule(self) -> Schedule:
        """Its schedule at the full horizon."""
        return self.configuration.schedule


@dataclass(frozen=True, kw_only=True)
class RunCurve:
    """The evaluations of a run at the full horizon on a fresh seed."""

    trial: int
    seed: int
    points: tuple[CurvePoint, ...]
    """Its evaluations, by step."""


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """Everything that the report is computed from. Losses: lower is better, whatever the metric.

    Raises:
        InvalidValue: The parts contradict each other: rungs that do not ascend to the horizon, a trial number that
            occurs twice, a loss that is not finite (a diverged run has ``None``), results of an unknown trial.
    """

    job_id: str
    job_name: str
    workload: str
    options: Mapping[str, Any]
    """The workload's options, as in the job's request."""
    total_steps: int
    """The horizon: updates of a full training run."""
    rung_steps: tuple[int, ...]
    """Updates of each rung, ascending; the last is the horizon."""
    trials: tuple[TrialResult, ...]
    confirmations: Mapping[int, Mapping[int, float | None]]
    """Trial number -> seed -> loss at the horizon; ``None`` when that run diverged. Runs that have not
    finished, or failed for another reason, are absent."""
    updates_spent: int
    """Updates that all runs of the job have executed, repeated ones included."""
    confirm_updates: int
    """How many of them went into confirmation runs."""
    updates_saved: int
    """Updates that runs did not execute because they branched off a run with the same learning rates until there."""
    why_ended: str
    metric: Metric = DEFAULT_METRIC
    """What the losses stand for."""
    audits: Mapping[int, float | None] = field(default_factory=dict)
    """Trial number -> loss at the horizon with the search's seed, of trials that were pruned and trained to the end all
    the same; ``None`` when that run diverged."""
    curves: tuple[RunCurve, ...] = ()
    """Of confirmation runs; the advice is derived from them."""
    importances: Importances | None = None
    """Of the parameters; ``None`` when no trial has a result."""
    longer: float = DEFAULT_LONGER
    """Length of the longer run that the report covers as well, in multiples of the horizon."""

    def __post_init__(self) -> None:
        ascending = all(low < high for low, high in zip(self.rung_steps, self.rung_steps[1:], strict=False))
        if not self.rung_steps or not ascending or self.rung_steps[-1] != self.total_steps:
            raise InvalidValue("rung_steps", value=self.rung_steps, allowed=f"ascending and end at {self.total_steps}")
        numbers = [trial.number for trial in self.trials]
        if len(set(numbers)) != len(numbers):
            raise InvalidValue("trials", value=sorted(numbers), allowed="numbered without repetition")
        of_trials = {
            "confirmations": self.confirmations.keys(),
            "audits": self.audits.keys(),
            "curves": {curve.trial for curve in self.curves},
        }
        for name, named in of_trials.items():
            if unknown := sorted(named - set(numbers)):
                raise InvalidValue(name, value=unknown, allowed="of trials that exist")
        for trial in self.trials:
            if len(trial.losses) > len(self.rung_steps):
                raise InvalidValue(
                    f"trials.{trial.number}.losses", value=trial.losses, allowed=f"at most {len(self.rung_steps)} long"
                )
            _check_finite(f"trials.{trial.number}.losses", losses=trial.losses)
        for number, losses in self.confirmations.items():
            _check_finite(f"confirmations.{number}", losses=losses.values())
        _check_finite("audits", losses=self.audits.values())
        if not 0 <= self.confirm_updates <= self.updates_spent:
            raise InvalidValue("confirm_updates", value=self.confirm_updates, allowed=f"in [0, {self.updates_spent}]")
        if self.updates_saved < 0:
            raise InvalidValue("updates_saved", value=self.updates_saved, allowed="at least 0")


def _check_finite(field: str, *, losses: Iterable[float | None]) -> None:
    for loss in losses:
        if loss is not None and not math.isfinite(loss):
            raise InvalidValue(field, value=loss, allowed="finite, or None for a run that diverged")
