"""The search for schedules as a sampler of Optuna."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zlib import crc32

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from tuner.errors import InvalidValue
from tuner.optuna.trials import SCHEDULE, StudyReader, configuration_of
from tuner.schedules import Schedule
from tuner.search.buildable import check_buildable
from tuner.search.configuration import Configuration, option_parameters, values_of
from tuner.search.decision.choice import most_promising
from tuner.search.decision.decisions import NewTrial, StudyState
from tuner.search.decision.estimates import Estimates
from tuner.search.decision.plan import after
from tuner.search.decision.seeds import run_seed
from tuner.search.optuna.distributions import distributions_of
from tuner.search.optuna.study import SEARCH
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, Parameter, SearchSpace, default_space
from tuner.search.training_key import TrainingKey, training_key
from tuner.validation import allowed_by, choice

_MOST_CLAIMS: Final = 5
"""Choices of one trial, at most, while others claim the same at the same moment."""
_MOST_PREDICTED: Final = 8
"""Running trials without parameters whose choice is predicted, at most: older ones were abandoned."""


class ScheduleSampler(BaseSampler):
    """Chooses the schedules of a study by what a Gaussian process over all families expects of them.

    It reads all that it knows from the study: it can be made anew at any time, in any number of processes, and a study
    continues where it stopped. Equal studies get equal schedules. Trials that run count with the loss that is expected
    of them. Parameters beside the schedule's come from ``independent_sampler``.

    Args:
        space: Where to search: a space, as an object or as in a job's ``search.space``; ``"adam"`` or ``"sgd"`` stands
            for the default one of that optimizer.
        total_steps: Optimizer updates of a run.
        incumbent: The schedule that is used today: the first trial has a peak near it.
        options: Ranges of parameters that are searched along with the schedule, at most four. An objective gets the
            value of ``dropout`` as ``trial.suggest_float("option.dropout", ...)``, from the same range.
        seed: Equal seeds choose equally.
        independent_sampler: Of all other parameters; one of Optuna's TPE, seeded by trial, when absent.

    Raises:
        InvalidValue: A schedule of the space does not exist in so many updates, or the optimizer is unknown.

    Example:
        >>> import optuna
        >>> from tuner.optuna import ScheduleSampler, suggest_schedule
        >>> study = optuna.create_study(sampler=ScheduleSampler("adam", total_steps=1000))
        >>> study.optimize(lambda trial: abs(suggest_schedule(trial).peak_lr - 2e-3), n_trials=5)
        >>> len(study.trials)
        5
    """

    def __init__(
        self,
        space: SearchSpace | OptimizerKind | str | Mapping[str, Any],
        *,
        total_steps: int,
        incumbent: Schedule | None = None,
        options: Mapping[str, Parameter] | None = None,
        seed: int = 0,
        independent_sampler: BaseSampler | None = None,
    ) -> None:
        self._settings = SearchSettings(
            total_steps=total_steps,
            space=_space_of(space),
            incumbent=incumbent,
            options=dict(options or {}),
            seed=seed,
            budget=1.0,  # its certainty is none: the least expected loss is recommended
        )
        check_buildable(self._settings)
        self.space = self._settings.searched_space
        self._independent = independent_sampler

    @classmethod
    def of_job(cls, study: Study, *, independent_sampler: BaseSampler | None = None) -> ScheduleSampler:
        """The sampler that continues the study of a job: with its space, its length, its incumbent and its options.

        Args:
            study: As ``optuna.load_study(study_name=JOB_ID, storage=DATABASE_URL)`` returns it.
            independent_sampler: See the class.

        Raises:
            InvalidValue: The study is not that of a job.
        """
        text = study.user_attrs.get(SEARCH)
        if text is None:
            allowed = f"the study of a job, which has the attribute {SEARCH}"
            raise InvalidValue("study", value=study.study_name, allowed=allowed)
        settings = SearchSettings.model_validate(json.loads(text))
        return cls(
            settings.searched_space,
            total_steps=settings.total_steps,
            incumbent=settings.incumbent,
            options=settings.options,
            seed=settings.seed,
            independent_sampler=independent_sampler,
        )

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters of all families."""
        return distributions_of(self.space, option_parameters(self._settings))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The family and its parameters; none where every schedule of the space has been tried."""
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        chosen: Configuration | None = None
        for _ in range(_MOST_CLAIMS):
            chosen = most_promising(self._expected(study, trial))
            if chosen is None:
                return {}
            # A claim, for processes that ask before this trial has its parameters; `suggest_schedule` writes the same.
            study._storage.set_trial_user_attr(trial._trial_id, SCHEDULE, chosen.schedule.to_json())
            if not self._is_claimed(chosen, study=study, trial=trial):
                break
        return {} if chosen is None else values_of(chosen, settings=self._settings) or {}

    def _expected(self, study: Study, trial: FrozenTrial) -> StudyState:
        """The state that a trial chooses from: with all that others have claimed, or will claim at this moment."""
        others = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        blank = [one for one in others if one.state is TrialState.RUNNING and configuration_of(one) is None]
        earlier = [one for one in blank if one.number < trial.number]
        return _with_predicted(self._state(study, trials=others), count=len(earlier[-_MOST_PREDICTED:]))

    def _is_claimed(self, chosen: Configuration, *, study: Study, trial: FrozenTrial) -> bool:
        """Whether another trial has claimed the schedule since the state was read; it may have ended already."""
        others = [configuration_of(one) for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        return any(one is not None and self._key(one) == self._key(chosen) for one in others)

    def _key(self, configuration: Configuration) -> TrainingKey:
        schedule = Configuration(schedule=configuration.schedule)  # a claim says nothing of the options
        return training_key(schedule, total_steps=self._settings.total_steps)

    def recommended(self, study: Study) -> FrozenTrial:
        """The trial with the least expected loss, by all trials.

        ``study.best_trial`` has the least loss of all, which may be luck: where the loss depends on the seed, the best
        of many is nearly always luckier than good.

        Raises:
            InvalidValue: No trial with a schedule is complete.
        """
        trials = [one for one in study.get_trials(deepcopy=False) if configuration_of(one) is not None]
        return trials[Estimates(self._state(study, trials=trials)).recommended]

    def _state(self, study: Study, *, trials: Sequence[FrozenTrial]) -> StudyState:
        reader = StudyReader.of(study.direction, total_steps=self._settings.total_steps)
        return reader.state(trials, settings=self._settings)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of any other parameter."""
        sampler = self._independent
        if sampler is None:  # one for each value: its randomness must not depend on what this process did before
            self._raise_error_if_multi_objective(study)
            sampler = TPESampler(seed=crc32(f"{self._settings.seed} {trial.number} {param_name}".encode()))
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Reseeds the independent sampler; this one has no state."""
        if self._independent is not None:
            self._independent.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """As the independent sampler's."""
        if self._independent is not None:
            self._independent.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """As the independent sampler's."""
        if self._independent is not None:
            self._independent.after_trial(study, trial, state, values)


def _space_of(space: SearchSpace | OptimizerKind | str | Mapping[str, Any]) -> SearchSpace:
    if isinstance(space, SearchSpace):
        return space
    if isinstance(space, str):
        return default_space(choice("space", space, of=OptimizerKind))
    try:
        return SearchSpace.model_validate(space)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, ("space", *first["loc"])))
        raise InvalidValue(field, value=first["input"], allowed=allowed_by(first)) from None


def _with_predicted(state: StudyState, *, count: int) -> StudyState:
    """The state with so many trials that other processes choose at this moment: as they will, if nothing ends before.

    Without them, processes that ask at the same time would get the same schedule.
    """
    for _ in range(count):
        chosen = most_promising(state)
        if chosen is None:
            break
        seed = run_seed(state.settings.seed, place=0)
        running = NewTrial(number=len(state.trials), role=None, configuration=chosen, seed=seed, reason="it runs")
        state = after(state, running)
    return state
