"""The trials of an Optuna study as the search reads them: configurations, losses, curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuner.schedules import Schedule
from tuner.search.configuration import OPTION, Configuration, OptionValues, option_values
from tuner.search.decision.decisions import RunStatus, RunView, StudyState, TrialStatus, TrialView
from tuner.search.decision.seeds import run_seed
from tuner.search.optuna.study import DIVERGED
from tuner.search.pruning.forecast import Curve, LossForecaster
from tuner.search.settings import SearchSettings

SCHEDULE: Final = "schedule"
LABEL: Final = "label"
"""Attributes of a trial: its schedule as JSON, and the label of its configuration."""
_FAILED: Final = {RunStatus.FAILED: TrialStatus.FAILED, RunStatus.RUNNING: TrialStatus.ACTIVE}


@dataclass(frozen=True, kw_only=True)
class StudyReader:
    """Reads the trials of one study."""

    total_steps: int
    """Updates of a run."""
    sign: float
    """Multiplies a value of the study into a loss, which is minimized."""

    @classmethod
    def of(cls, direction: StudyDirection, *, total_steps: int) -> StudyReader:
        """The reader of a study with one objective."""
        return cls(total_steps=total_steps, sign=-1.0 if direction is StudyDirection.MAXIMIZE else 1.0)

    def state(self, trials: Sequence[FrozenTrial], *, settings: SearchSettings) -> StudyState:
        """The state of a search with these trials, each of which has one run, all on one seed.

        A trial that was pruned counts with the forecast of its loss at the end, where one can be made. Trials without
        a schedule are left out.

        Args:
            trials: By number.
            settings: Of the search.
        """
        forecaster: LossForecaster | None = None
        state = StudyState(settings=settings)
        for trial in trials:
            configuration = configuration_of(trial)
            if configuration is None or trial.state is TrialState.WAITING:
                continue
            view = self._run(trial, number=len(state.trials), seed=run_seed(settings.seed, place=0))
            if view.status is RunStatus.STOPPED:
                forecaster = forecaster or LossForecaster(self.complete(trials), total_steps=self.total_steps)
                view = _with_forecast(view, self.curve(trial, configuration), forecaster=forecaster)
            done = TrialStatus.COMPLETED if view.status is RunStatus.FINISHED else TrialStatus.PRUNED
            status = _FAILED.get(view.status, done)
            new = TrialView(number=view.trial, role=None, status=status, configuration=configuration)
            state = replace(state, trials=(*state.trials, new), runs=(*state.runs, view))
        return state

    def curve(self, trial: FrozenTrial, configuration: Configuration) -> Curve:
        """The losses that a trial reported, and its value at the end."""
        points = {step: self.sign * value for step, value in trial.intermediate_values.items() if step > 0}
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            points.setdefault(self.total_steps, self.sign * trial.value)
        return Curve(
            configuration=configuration, seed=0, total_steps=self.total_steps, points=tuple(sorted(points.items()))
        )

    def complete(self, trials: Sequence[FrozenTrial]) -> list[Curve]:
        """The curves of the trials that were trained to the end."""
        return [
            self.curve(trial, configuration)
            for trial in trials
            if trial.state is TrialState.COMPLETE and (configuration := configuration_of(trial)) is not None
        ]

    def losses(self, trials: Sequence[FrozenTrial]) -> Iterator[float]:
        """The losses at the end of the trials that have one."""
        for trial in trials:
            if trial.state is TrialState.COMPLETE and trial.value is not None and math.isfinite(trial.value):
                yield self.sign * trial.value

    def _run(self, trial: FrozenTrial, *, number: int, seed: int) -> RunView:
        view = RunView(trial=number, seed=seed, status=RunStatus.RUNNING, steps=self.total_steps)
        if trial.state is TrialState.RUNNING:
            return view
        if _has_diverged(trial):
            return replace(view, status=RunStatus.DIVERGED)
        if trial.state is TrialState.COMPLETE:
            return replace(view, status=RunStatus.FINISHED, loss=self.sign * float(trial.values[0]))
        return replace(view, status=RunStatus.STOPPED if trial.state is TrialState.PRUNED else RunStatus.FAILED)


def configuration_of(trial: FrozenTrial) -> Configuration | None:
    """The configuration of a trial whose schedule is known; else ``None``."""
    text = trial.user_attrs.get(SCHEDULE)
    if not isinstance(text, str):
        return None
    return Configuration(schedule=_parsed(text), options=_options(trial.params))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Schedule:
    return Schedule.from_json(text)


def _options(params: Mapping[str, object]) -> OptionValues:
    named = {name.removeprefix(OPTION): value for name, value in params.items() if name.startswith(OPTION)}
    return option_values({name: value for name, value in named.items() if isinstance(value, bool | int | float | str)})


def _has_diverged(trial: FrozenTrial) -> bool:
    """Whether it said so, or its last loss is not finite."""
    if DIVERGED in trial.user_attrs:
        return True
    last = trial.values[0] if trial.values else trial.intermediate_values.get(trial.last_step or 0, 0.0)
    return not math.isfinite(last)


def _with_forecast(view: RunView, curve: Curve, *, forecaster: LossForecaster) -> RunView:
    forecast = forecaster.forecast(curve)
    return view if forecast is None else replace(view, loss=forecast.mean, std=forecast.std)
