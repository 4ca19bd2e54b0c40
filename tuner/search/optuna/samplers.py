"""Optuna's samplers as what chooses the next new configuration of a search.

Pure: the study that a sampler sees is made in memory from the state, and the sampler has a seed that follows from it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

import numpy as np
import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from tuner.extras import ExtraMissing
from tuner.search.configuration import OPTION, Configuration, option_parameters, option_values, values_of
from tuner.search.decision.choice import Proposer
from tuner.search.decision.decisions import RunStatus, StudyState
from tuner.search.decision.observations import Observations
from tuner.search.optuna.distributions import distribution_of, suggest_value
from tuner.search.settings import SamplerName, SearchSettings
from tuner.search.space import Choice, IntRange, Parameter, Value

_ATTEMPTS: Final = 20
"""Suggestions until one that was not trained yet; a small space may have none left."""
_REPLAYED: Final = frozenset({SamplerName.CMAES, SamplerName.QMC})
"""Samplers whose state stands in the study beside its trials: for these the study is made trial by trial."""


def proposer_of(settings: SearchSettings) -> Proposer | None:
    """What chooses the new configurations of a search; ``None`` where its own model does.

    Raises:
        ExtraMissing: The sampler needs a package that is not installed.
    """
    return None if settings.sampler is SamplerName.SCHEDULE else _OptunaProposer(settings)


class _OptunaProposer:
    """Chooses new configurations by one of Optuna's samplers, with its defaults."""

    def __init__(self, settings: SearchSettings) -> None:
        self._settings = settings
        self._parameters = _ByRank(settings)
        if settings.sampler is SamplerName.GP and find_spec("torch") is None:
            raise ExtraMissing("search.sampler gp", modules=("torch",), extras=("worker",))

    def __call__(self, state: StudyState) -> Configuration | None:
        """The next new configuration; ``None`` where the sampler suggests none that was not trained yet."""
        observations = Observations(state)
        with _quietly():
            study = self._study(state)
            for _ in range(_ATTEMPTS):
                trial = study.ask()
                suggested = self._parameters.configuration(trial)
                if new := observations.untried(observations.named([suggested])):
                    return new[0]
                study.tell(trial, state=TrialState.FAIL)
        return None

    def _study(self, state: StudyState) -> optuna.Study:
        """The study of a state: a stopped run counts with its forecast, a diverged one as worse than all others."""
        replayed = self._settings.sampler in _REPLAYED
        seed = self._settings.seed if replayed else _seed_of(state)
        study = optuna.create_study(sampler=_sampler(self._settings.sampler, seed=seed))
        losses = dict(_losses(state))
        for trial in state.trials:
            values = values_of(trial.configuration, settings=self._settings)
            if values is None:
                continue
            loss = losses.get(trial.number)
            running = any(run.status is RunStatus.RUNNING for run in state.runs_of(trial.number)[:1])
            ended = TrialState.FAIL if loss is None else TrialState.COMPLETE
            add = self._parameters.replay if replayed else self._parameters.add
            add(study, values, state=TrialState.RUNNING if running else ended, loss=loss)
        return study


class _ByRank:
    """The parameters as a sampler sees them: choices with an order by their rank, so that it knows the order."""

    def __init__(self, settings: SearchSettings) -> None:
        self._space = settings.searched_space
        self._options = option_parameters(settings)
        self._families = Choice(values=self._space.keys)

    def configuration(self, trial: optuna.Trial) -> Configuration:
        """The configuration that a trial suggests."""
        family = str(suggest_value(trial, "family", self._families))
        values = {name: self._suggested(trial, name, one) for name, one in self._of(family).items()}
        own = {name: value for name, value in values.items() if name not in self._options}
        options = {name.removeprefix(OPTION): values[name] for name in self._options}
        return Configuration(schedule=self._space.build({"family": family, **own}), options=option_values(options))

    def add(self, study: optuna.Study, values: Mapping[str, Value], *, state: TrialState, loss: float | None) -> None:
        """Add a trial to a study."""
        family = str(values["family"])
        distributions = {name: distribution_of(_ranks(one)) for name, one in self._of(family).items()}
        distributions["family"] = distribution_of(self._families)
        value = loss if state is TrialState.COMPLETE else None
        study.add_trial(
            create_trial(state=state, params=self._ranked(values), distributions=distributions, value=value)
        )

    def replay(
        self, study: optuna.Study, values: Mapping[str, Value], *, state: TrialState, loss: float | None
    ) -> None:
        """Open a trial by the study's sampler, with these values in place of its own."""
        study.enqueue_trial(self._ranked(values))
        trial = study.ask()
        _ = trial.relative_params  # the sampler stores its state
        self.configuration(trial)
        if state is not TrialState.RUNNING:
            study.tell(trial, loss, state=state)

    def _of(self, family: str) -> dict[str, Parameter]:
        return {**self._space.parameters(family), **self._options}

    def _ranked(self, values: Mapping[str, Value]) -> dict[str, Value]:
        parameters = self._of(str(values["family"]))
        ranks = {name: _rank(values[name], one) for name, one in parameters.items()}
        return {"family": values["family"], **ranks}

    def _suggested(self, trial: optuna.Trial, name: str, parameter: Parameter) -> Value:
        value = suggest_value(trial, name, _ranks(parameter))
        return parameter.values[int(value)] if _has_order(parameter) and isinstance(parameter, Choice) else value


def _has_order(parameter: Parameter) -> bool:
    values = parameter.values if isinstance(parameter, Choice) else ()
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return bool(values) and len(numbers) == len(values) and numbers == sorted(numbers)


def _ranks(parameter: Parameter) -> Parameter:
    if isinstance(parameter, Choice) and _has_order(parameter):
        return IntRange(low=0, high=len(parameter.values) - 1)
    return parameter


def _rank(value: Value, parameter: Parameter) -> Value:
    return parameter.values.index(value) if isinstance(parameter, Choice) and _has_order(parameter) else value


def _losses(state: StudyState) -> Iterator[tuple[int, float]]:
    """The loss of the first run of each trial that has one."""
    first = [state.runs_of(trial.number)[:1] for trial in state.trials]
    runs = [run for found in first for run in found]
    known = [run.loss for run in runs if run.loss is not None and math.isfinite(run.loss)]
    worst = max(known, default=0.0)
    for run in runs:
        if run.status is RunStatus.DIVERGED:
            yield run.trial, worst + (worst - min(known, default=-1.0) or 1.0)
        elif run.loss is not None:
            yield run.trial, run.loss


def _sampler(name: SamplerName, *, seed: int) -> BaseSampler:
    match name:
        case SamplerName.TPE:
            return TPESampler(seed=seed)
        case SamplerName.GP:
            return GPSampler(seed=seed, warn_independent_sampling=False)
        case SamplerName.CMAES:
            return CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case SamplerName.QMC:
            return QMCSampler(seed=seed, warn_independent_sampling=False)
        case _:
            return RandomSampler(seed=seed)


def _seed_of(state: StudyState) -> int:
    sequence = np.random.SeedSequence((state.settings.seed, len(state.trials), len(state.runs)))
    return int(sequence.generate_state(1)[0])


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Optuna's remarks on conditional spaces and experimental samplers, which a search cannot change."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
