"""The input of a report: the results of one study."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tuner.errors import InvalidValue
from tuner.jobs.records import CurvePoint
from tuner.jobs.spec import DEFAULT_LONGER
from tuner.metric import Metric
from tuner.search.decision.decisions import RunStatus, RunView, StudyState
from tuner.search.pruning.forecast import Curve
from tuner.search.pruning.stopping import ForecastCheck

if TYPE_CHECKING:
    from tuner.search.optuna.importances import Importances


@dataclass(frozen=True, kw_only=True)
class RunHistory:
    """How far a run came, and what was seen on the way."""

    trial: int
    seed: int
    steps: int
    """Updates of its schedule that it reached, those of a shared prefix included."""
    points: tuple[CurvePoint, ...] = ()
    """Its evaluations, by step; losses, lower is better."""
    check: ForecastCheck | None = None
    """The forecast that left it almost no chance; ``None`` for a run that none did."""
    audited: bool = False
    """Whether it was trained to the end although the forecast left it almost no chance."""


@dataclass(frozen=True, kw_only=True)
class RunFailure:
    """A run that ended without a result."""

    trial: int
    seed: int
    attempts: str
    """Which of its attempts failed and which were lost, in words."""
    error: str
    """Its first line."""


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """Everything that the report is computed from. Losses: lower is better, whatever the metric.

    Raises:
        InvalidValue: The parts contradict each other: trials that are not numbered from 0 on without gaps, a run of an
            unknown trial, two runs of one trial on one seed, a loss that is absent or not finite, a history of an
            unknown run, a stop without its forecast.
    """

    job_id: str
    job_name: str
    workload: str
    options: Mapping[str, Any]
    """The workload's options, as in the job's request."""
    state: StudyState
    """Settings, metric, trials and runs: what the plan decides from, when the study has ended."""
    reasons: Mapping[int, str]
    """Trial number -> why it ended, or why it was created when it has not ended."""
    end_reason: str
    updates_spent: int
    """Updates that all runs of the job have executed, repeated ones included."""
    updates_saved: int
    """Updates that runs did not execute because they branched off a run with the same learning rates until there."""
    device_seconds: float | None = None
    """Device time of all runs; ``None`` where nothing was measured."""
    histories: tuple[RunHistory, ...] = ()
    """Of all runs, stopped and diverged ones included. A run without one has no curve, and counts as having reached its
    `RunView.steps`."""
    failures: tuple[RunFailure, ...] = ()
    range_test: str = ""
    """What an LR range test did to the range of peaks, as a sentence; empty without one."""
    """The runs that failed, in the order in which they were planned."""
    importances: Importances | None = None
    """Of the parameters; ``None`` when no trial has a result."""
    longer: float = DEFAULT_LONGER
    """Length of the longer run that the report covers as well, in multiples of the horizon."""

    def __post_init__(self) -> None:
        numbers = [trial.number for trial in self.state.trials]
        if numbers != list(range(len(numbers))):
            raise InvalidValue("state.trials", value=numbers, allowed="numbered from 0 on, in order and without gaps")
        _check_runs(self.state)
        runs = {(run.trial, run.seed): run for run in self.state.runs}
        _check_pairs("histories", pairs=[(one.trial, one.seed) for one in self.histories])
        for history in self.histories:
            run = runs.get((history.trial, history.seed))
            name = f"histories.{history.trial}.{history.seed}"
            if run is None:
                raise InvalidValue(name, value=history.steps, allowed="of a run that exists")
            if not 0 <= history.steps <= self.total_steps:
                raise InvalidValue(f"{name}.steps", value=history.steps, allowed=f"in [0, {self.total_steps}]")
            if run.status is RunStatus.STOPPED and history.check is None:
                raise InvalidValue(f"{name}.check", value=None, allowed="the forecast of a run that was stopped")
        for name in ("updates_spent", "updates_saved"):
            if getattr(self, name) < 0:
                raise InvalidValue(name, value=getattr(self, name), allowed="at least 0")

    @property
    def total_steps(self) -> int:
        """The horizon: updates of a full training run."""
        return self.state.settings.total_steps

    @property
    def metric(self) -> Metric:
        """What the losses stand for."""
        return self.state.metric

    @cached_property
    def _histories_by_run(self) -> Mapping[tuple[int, int], RunHistory]:
        return {(one.trial, one.seed): one for one in self.histories}

    @cached_property
    def _runs_by_trial(self) -> Mapping[int, tuple[RunView, ...]]:
        runs: defaultdict[int, list[RunView]] = defaultdict(list)
        for run in self.state.runs:
            runs[run.trial].append(run)
        return {trial: tuple(of_trial) for trial, of_trial in runs.items()}

    def runs_of(self, trial: int) -> tuple[RunView, ...]:
        """The runs of a trial, the first one first."""
        return self._runs_by_trial.get(trial, ())

    def history(self, run: RunView) -> RunHistory | None:
        """The history of one of the runs; ``None`` when it has none."""
        return self._histories_by_run.get((run.trial, run.seed))

    def steps_reached(self, run: RunView) -> int:
        """Updates of its schedule that one of the runs reached."""
        if run.status is RunStatus.FINISHED:
            return run.steps
        history = self.history(run)
        return run.steps if history is None else history.steps

    def steps_spent(self, run: RunView) -> int:
        """Updates that one of the runs has cost of the budget."""
        return self.steps_reached(run) if run.status is RunStatus.RUNNING else run.steps

    @cached_property
    def complete_curves(self) -> tuple[Curve, ...]:
        """The curves of the finished runs that have one; of those that ended early by their own rule there is none."""
        finished = ((run, self.history(run)) for run in self.state.runs if run.status is RunStatus.FINISHED)
        return tuple(
            Curve(
                configuration=self.state.trials[run.trial].configuration,
                seed=run.seed,
                total_steps=self.total_steps,
                points=tuple((point.step, point.val_loss) for point in history.points),
            )
            for run, history in finished
            if history is not None and history.points and run.steps >= self.total_steps
        )


def _check_runs(state: StudyState) -> None:
    _check_pairs("state.runs", pairs=[(run.trial, run.seed) for run in state.runs])
    for run in state.runs:
        name = f"state.runs.{run.trial}.{run.seed}"
        if not 0 <= run.trial < len(state.trials):
            raise InvalidValue(name, value=run.trial, allowed="of a trial that exists")
        has_loss = run.status in (RunStatus.FINISHED, RunStatus.STOPPED)
        if has_loss and (run.loss is None or not math.isfinite(run.loss)):
            raise InvalidValue(f"{name}.loss", value=run.loss, allowed=f"finite for a run that is {run.status.value}")
        if not has_loss and run.loss is not None:
            raise InvalidValue(f"{name}.loss", value=run.loss, allowed=f"None for a run that is {run.status.value}")


def _check_pairs(name: str, *, pairs: list[tuple[int, int]]) -> None:
    if repeated := sorted(set(_repeated(pairs))):
        raise InvalidValue(name, value=repeated, allowed="at most one of each trial and seed")


def _repeated(pairs: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    seen: set[tuple[int, int]] = set()
    for pair in pairs:
        if pair in seen:
            yield pair
        seen.add(pair)
