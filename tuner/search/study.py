"""The Optuna study of a job: who suggests schedules, and how it is told what became of them.

The only module that knows Optuna's API. Our tables are the truth; everything here can be repeated, and whatever a crash
left undone is done by the next call. It must be called under the study lock: Optuna sees one process at a time.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from tuner.errors import DatabaseUnavailable, InvalidValue
from tuner.schedules import Schedule
from tuner.search.decisions import TrialStatus
from tuner.search.ladder import places
from tuner.search.settings import SearchSettings
from tuner.search.space import Choice, FloatRange, IntRange, Parameter, SearchSpace, Value

optuna.logging.set_verbosity(optuna.logging.WARNING)  # our own events tell of studies and trials

_SPACE: Final = "tuner:space"
_CONTROL: Final = "control"
_STARTUP_TRIALS: Final = 10
_NOT_AN_EXAMPLE: Final = "tuner: not an example to follow"
"""Name of the constraint that trials break which the sampler must rank behind all others."""


@contextmanager
def _database_errors_named() -> Iterator[None]:
    try:
        yield
    except StorageInternalError as error:
        raise DatabaseUnavailable(f"the study's tables cannot be used: {error.__cause__ or error}") from error


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the study suggests."""

    optuna_number: int
    schedule: Schedule


@dataclass(frozen=True, kw_only=True)
class StudyTrial:
    """A trial, as Optuna should know it."""

    optuna_number: int
    steps_results: tuple[tuple[int, float | None], ...]
    """Updates and loss of each finished rung; ``None`` when it diverged."""
    status: TrialStatus


class Study:
    """A job's Optuna study. Made by `open`.

    Every method raises `DatabaseUnavailable` when the database fails under it; it can be called again.
    """

    def __init__(self, study: optuna.Study, *, settings: SearchSettings) -> None:
        self._study = study
        self._seed = settings.seed
        self._keep = settings.keep
        self._space = settings.searched_space

    @classmethod
    @_database_errors_named()
    def open(cls, storage: BaseStorage, *, name: str, settings: SearchSettings) -> Self:
        """Open the study, or create it when there is none of this name.

        Args:
            storage: Optuna's storage.
            name: The job's id.
            settings: The job's search, with its space.

        Raises:
            InvalidValue: The study was created for another space, or no space is given.
        """
        space = settings.searched_space
        study = optuna.create_study(
            storage=storage, study_name=name, direction="minimize", pruner=NopPruner(), load_if_exists=True
        )
        digest = study.user_attrs.get(_SPACE)
        if digest is None:
            study.set_user_attr(_SPACE, space.digest)
        elif digest != space.digest:
            raise InvalidValue(
                "space",
                value=space.digest,
                allowed=f"the one that the study was created with, {digest}",
                hint="A space is frozen for the life of its study: submit a new job.",
            )
        return cls(study, settings=settings)

    @_database_errors_named()
    def ask(self, *, number: int, schedule: Schedule | None) -> Asked:
        """Open an Optuna trial.

        The suggestion depends on the seed of the search, the number of the trial and what the study was told, and on
        nothing else: asked again after a crash, it is the same.

        Args:
            number: Our number of the trial.
            schedule: What to try, or ``None`` to let the sampler choose. A schedule that the space does not contain is
                tried too, as a trial without parameters from which the sampler learns nothing.

        Returns:
            The schedule to try, at the full horizon.
        """
        trial, chosen = self._sampled(number) if schedule is None else self._given(schedule)
        trial.set_user_attr("trial", number)
        trial.set_user_attr(_CONTROL, schedule is not None)
        trial.set_user_attr("label", chosen.label)
        trial.set_user_attr("schedule", chosen.to_json())
        return Asked(optuna_number=trial.number, schedule=chosen)

    @_database_errors_named()
    def sync(self, trials: Sequence[StudyTrial]) -> None:
        """Tell Optuna whatever it does not know yet. Trials that it knows as finished are left alone.

        A rung's loss is reported at ``step`` = the updates of the rung. A divergence is reported as a finite value far
        above all others (Optuna drops trials told NaN, and its pages cannot draw infinity), and marked, so that the
        sampler ranks it last of all, however far it came.

        Args:
            trials: All trials of the study.
        """
        told = {trial.number: trial for trial in self._study.get_trials(deepcopy=False)}
        bad = _far_above(trials)
        for trial in trials:
            frozen = told[trial.optuna_number]
            if not frozen.state.is_finished():
                if frozen.user_attrs.get(_CONTROL) and self._is_guest(trial, trials=trials):
                    _mark(self._reopened(frozen))
                self._report(trial, frozen=frozen, bad=bad)
                self._close(trial)

    @_database_errors_named()
    def abandon_orphans(self, known: Collection[int]) -> int:
        """Fail the open trials that we know nothing of: a crash came between asking and storing.

        Args:
            known: Optuna's numbers of the trials that we know.

        Returns:
            How many there were.
        """
        orphans = [
            trial.number
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if trial.number not in known
        ]
        for number in orphans:
            self._study.tell(number, state=TrialState.FAIL)
        return len(orphans)

    def _sampled(self, number: int) -> tuple[optuna.Trial, Schedule]:
        self._study.sampler = _tpe(seed=self._seed, number=number)
        trial = self._study.ask()
        return trial, self._space.build(_suggest(trial, space=self._space))

    def _given(self, schedule: Schedule) -> tuple[optuna.Trial, Schedule]:
        values = self._space.values_of(schedule)
        self._study.sampler = _Given(values or {})
        trial = self._study.ask()
        if values is None:
            _mark(trial)
        else:
            _suggest(trial, space=self._space)
        return trial, schedule

    def _report(self, trial: StudyTrial, *, frozen: FrozenTrial, bad: float) -> None:
        news = [(step, loss) for step, loss in trial.steps_results if step not in frozen.intermediate_values]
        if not news:
            return
        open_trial = self._reopened(frozen)  # reads the trial anew
        for step, loss in news:
            if loss is None:
                _mark(open_trial)  # first: what is reported is never looked at again
            open_trial.report(bad if loss is None else loss, step)

    def _reopened(self, frozen: FrozenTrial) -> optuna.Trial:
        return optuna.Trial(self._study, frozen._trial_id)

    def _is_guest(self, trial: StudyTrial, *, trials: Sequence[StudyTrial]) -> bool:
        """Whether it reached the horizon without being among the best share at the lowest rung."""
        if trial.status is not TrialStatus.COMPLETED:
            return False
        first = sorted(_first_loss(other) for other in trials if other.steps_results)
        return _first_loss(trial) > first[places(len(first), keep=self._keep) - 1]

    def _close(self, trial: StudyTrial) -> None:
        match trial.status:
            case TrialStatus.COMPLETED:
                self._study.tell(trial.optuna_number, trial.steps_results[-1][1])
            case TrialStatus.PRUNED:
                self._study.tell(trial.optuna_number, state=TrialState.PRUNED)
            case TrialStatus.FAILED:
                self._study.tell(trial.optuna_number, state=TrialState.FAIL)
            case TrialStatus.ACTIVE:
                pass


class _Given(BaseSampler):
    """Samples what it was given."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._values[param_name]


def _tpe(*, seed: int, number: int) -> TPESampler:
    """A sampler for one trial: its seed is that of the search and the trial's number, mixed."""
    mixed = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # group=True
        return TPESampler(
            multivariate=True, group=True, constant_liar=True, n_startup_trials=_STARTUP_TRIALS, seed=mixed
        )


def _suggest(trial: optuna.Trial, *, space: SearchSpace) -> dict[str, Value]:
    family = trial.suggest_categorical("family", [one.name for one in space.families])
    values: dict[str, Value] = {"family": family}
    for name, parameter in space.parameters(family).items():
        values[name] = _suggest_one(trial, name=name, parameter=parameter)
    return values


def _suggest_one(trial: optuna.Trial, *, name: str, parameter: Parameter) -> Value:
    match parameter:
        case FloatRange():
            return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
        case IntRange():
            return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
        case Choice():
            return cast(Value, trial.suggest_categorical(name, parameter.values))


def _mark(trial: optuna.Trial) -> None:
    """Have the sampler rank a trial last: it breaks a constraint, and the others do not."""
    if _NOT_AN_EXAMPLE not in trial.constraints:
        trial.set_constraint(_NOT_AN_EXAMPLE, 1.0)


def _first_loss(trial: StudyTrial) -> float:
    loss = trial.steps_results[0][1]
    return math.inf if loss is None else loss


def _far_above(trials: Sequence[StudyTrial]) -> float:
    """A value to report for a divergence: ten times the largest loss so far, and not below 10."""
    losses = (abs(loss) for trial in trials for _, loss in trial.steps_results if loss is not None)
    return min(10.0 * max([1.0, *losses]), sys.float_info.max)
