"""The Optuna study of a job: every trial with its parameters, the curve of its first run and its state.

Our own sampler (`tuner.search.sampler.propose`) decides what is tried; Optuna records it. Our tables are the source
of truth: every call can be repeated, and completes what a crash left undone. Callers hold the study lock, so that one
process at a time uses Optuna.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from tuner.errors import DatabaseUnavailable, InvalidValue
from tuner.metric import Metric
from tuner.search.configuration import Configuration, option_parameters, search_digest, values_of
from tuner.search.decision.decisions import Role, TrialStatus
from tuner.search.optuna.distributions import suggest_point, suggest_value
from tuner.search.settings import SearchSettings
from tuner.search.space import Value

optuna.logging.set_verbosity(optuna.logging.WARNING)  # our own events report studies and trials

SEARCH: Final = "tuner:search"
"""Attribute of a study: the settings of its search as JSON, for a sampler that continues it (`tuner.optuna`)."""
DIVERGED: Final = "diverged"
"""Attribute of a trial: the updates that its first run had done when it diverged."""
_SPACE: Final = "tuner:space"
_RECOMMENDED: Final = "recommended"


class Recommended(Protocol):
    """The trial that a study recommends (`tuner.jobs.forecasts.BestTrial`)."""

    @property
    def trial(self) -> int:
        """Our number of it."""

    @property
    def label(self) -> str:
        """A description of its configuration."""

    @property
    def value(self) -> float:
        """Expected at the horizon."""

    @property
    def low(self) -> float:
        """Lower end of its 95 % interval."""

    @property
    def high(self) -> float:
        """Upper end."""


@contextmanager
def _translates_storage_errors() -> Iterator[None]:
    try:
        yield
    except StorageInternalError as error:
        raise DatabaseUnavailable(f"the study's tables cannot be used: {error.__cause__ or error}") from error


@dataclass(frozen=True, kw_only=True)
class StudyTrial:
    """A trial as Optuna should record it: by its first run."""

    optuna_number: int
    status: TrialStatus
    losses: tuple[tuple[int, float], ...]
    """Updates done and loss at the evaluations."""
    loss: float | None
    """At the end; ``None`` until then, and when it has none."""
    diverged_at: int | None
    """Updates done when it diverged."""


class Study:
    """A job's Optuna study. Made by `open`.

    Every method raises `DatabaseUnavailable` when the database fails under it; it can be called again.
    """

    def __init__(self, study: optuna.Study, *, settings: SearchSettings, metric: Metric) -> None:
        self._study = study
        self._settings = settings
        self._metric = metric

    @classmethod
    @_translates_storage_errors()
    def open(cls, storage: BaseStorage, *, name: str, settings: SearchSettings, metric: Metric) -> Self:
        """Open the study, or create it where none has this name.

        The study has the metric's direction, and its trials the metric's values: people read both in the dashboard.

        Args:
            storage: Optuna's storage.
            name: The job's id.
            settings: The job's search, with its space.
            metric: The job's.

        Raises:
            InvalidValue: The study was created for another space, or the settings have no space.
        """
        digest = search_digest(settings)
        try:
            study = optuna.load_study(storage=storage, study_name=name, pruner=NopPruner())
        except KeyError:
            # Creation inserts a row, which a database logs as an error where there is one.
            study = optuna.create_study(
                storage=storage, study_name=name, direction=metric.direction, pruner=NopPruner(), load_if_exists=True
            )
        created_for = study.user_attrs.get(_SPACE)
        if created_for is None:
            study.set_user_attr(_SPACE, digest)
            study.set_user_attr(SEARCH, settings.model_dump_json())
            study.set_user_attr("metric", metric.name)
        elif created_for != digest:
            raise InvalidValue(
                "space",
                value=digest,
                allowed=f"the one that the study was created with, {created_for}",
                hint="A space is frozen for the life of its study: submit a new job.",
            )
        return cls(study, settings=settings, metric=metric)

    @_translates_storage_errors()
    def ask(self, configuration: Configuration, *, number: int, role: Role | None) -> int:
        """Open an Optuna trial.

        Args:
            configuration: Its configuration. One outside the space becomes a trial without parameters.
            number: Our number of the trial.
            role: Why it is not the sampler's choice, if it is not.

        Returns:
            Optuna's number of the trial.
        """
        values = values_of(configuration, settings=self._settings)
        self._study.sampler = _FixedSampler(values or {})
        trial = self._study.ask()
        if values is not None:
            suggest_point(trial, self._settings.searched_space)
            for name, parameter in option_parameters(self._settings).items():
                suggest_value(trial, name, parameter)
        trial.set_user_attr("trial", number)
        trial.set_user_attr("role", role)
        trial.set_user_attr("label", configuration.label)
        trial.set_user_attr("schedule", configuration.schedule.to_json())
        return trial.number

    @_translates_storage_errors()
    def open_numbers(self) -> frozenset[int]:
        """Optuna's numbers of the trials that are not finished in Optuna."""
        return frozenset(trial.number for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))

    @_translates_storage_errors()
    def sync(self, trials: Sequence[StudyTrial]) -> None:
        """Write to Optuna what it lacks. Trials that are finished in Optuna do not change.

        The losses become intermediate values at ``step`` = updates done; a divergence becomes a finite value far worse
        than the trial's others: Optuna drops trials with NaN, and its pages cannot draw infinity.

        Args:
            trials: Trials of the study.
        """
        recorded = {trial.number: trial for trial in self._study.get_trials(deepcopy=False)}
        for trial in trials:
            frozen = recorded[trial.optuna_number]
            if not frozen.state.is_finished():
                self._report(trial, frozen=frozen)
                self._close(trial)

    @_translates_storage_errors()
    def recommend(self, best: Recommended | None) -> None:
        """Store the recommended trial in the study's attributes; ``None`` changes nothing."""
        if best is None:
            return
        attribute = {"trial": best.trial, "label": best.label, "value": best.value, "interval": [best.low, best.high]}
        if self._study.user_attrs.get(_RECOMMENDED) != attribute:
            self._study.set_user_attr(_RECOMMENDED, attribute)

    @_translates_storage_errors()
    def abandon_orphans(self, known: Collection[int]) -> int:
        """Fail the open trials that our tables lack: a crash came between ask and store.

        Args:
            known: Optuna's numbers of the trials in our tables.

        Returns:
            The number of failed trials.
        """
        orphans = [
            trial.number
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if trial.number not in known
        ]
        for number in orphans:
            self._study.tell(number, state=TrialState.FAIL)
        return len(orphans)

    def _report(self, trial: StudyTrial, *, frozen: FrozenTrial) -> None:
        losses = dict(trial.losses)
        if trial.diverged_at is not None:
            losses[trial.diverged_at] = min(10.0 * max([1.0, *map(abs, losses.values())]), sys.float_info.max)
            self._study._storage.set_trial_user_attr(frozen._trial_id, DIVERGED, trial.diverged_at)
        unreported = {step: loss for step, loss in losses.items() if step not in frozen.intermediate_values}
        if unreported:
            open_trial = optuna.Trial(self._study, frozen._trial_id)  # reads the trial again
            for step, loss in unreported.items():
                open_trial.report(self._metric.value(loss), step)

    def _close(self, trial: StudyTrial) -> None:
        match trial.status:
            case TrialStatus.COMPLETED:
                self._study.tell(trial.optuna_number, self._metric.value_or_none(trial.loss))
            case TrialStatus.PRUNED:
                self._study.tell(trial.optuna_number, state=TrialState.PRUNED)
            case TrialStatus.FAILED:
                self._study.tell(trial.optuna_number, state=TrialState.FAIL)
            case TrialStatus.ACTIVE:
                pass


class _FixedSampler(BaseSampler):
    """Returns fixed values."""

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
