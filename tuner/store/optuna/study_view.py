"""The Optuna studies as the dashboard sees them: read-only, filtered by visibility, with display names and notes.

Optuna's tables hold job ids as names, and no notes. Names and notes come from our tables; the view adds them on reading
and stores them nowhere else.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NoReturn

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from tuner.errors import DatabaseUnavailable, TunerError
from tuner.store.optuna.study_scope import StudyScope, current_scope


class ReadOnlyStudies(TunerError):
    """A write through the view: only planning writes the studies."""

    def __init__(self) -> None:
        super().__init__("the studies are read-only here; change the job through the API instead")


class StudyView(BaseStorage):
    """Reads what the current `StudyScope` allows from another storage. Every write raises `ReadOnlyStudies`.

    Args:
        inner: The storage of the studies.
    """

    def __init__(self, inner: BaseStorage) -> None:
        self._inner = inner

    def name_of(self, study_id: int) -> str | None:
        """The name of a study; ``None`` for an unknown id.

        Raises:
            DatabaseUnavailable: The database is away.
        """
        try:
            return self._inner.get_study_name_from_id(study_id)
        except KeyError:
            return None
        except StorageInternalError as error:
            raise DatabaseUnavailable(f"the studies cannot be read: {error.__cause__ or error}") from error

    def id_of(self, name: str) -> int | None:
        """The id of a study; ``None`` for an unknown name.

        Raises:
            DatabaseUnavailable: The database is away.
        """
        try:
            return self._inner.get_study_id_from_name(name)
        except KeyError:
            return None
        except StorageInternalError as error:
            raise DatabaseUnavailable(f"the studies cannot be read: {error.__cause__ or error}") from error

    def get_all_studies(self) -> list[FrozenStudy]:
        """The visible studies, under their display names."""
        scope = current_scope()
        if scope.study is not None:
            return [self._single_study(scope, study_id=self._inner.get_study_id_from_name(scope.study))]
        visible = [study for study in self._inner.get_all_studies() if study.study_name in scope.titles]
        for study in visible:
            study.study_name = scope.titles[study.study_name]
        return visible

    def _single_study(self, scope: StudyScope, *, study_id: int) -> FrozenStudy:
        name = str(scope.study)
        return FrozenStudy(
            study_name=scope.titles.get(name, name),
            direction=None,
            directions=self._inner.get_study_directions(study_id),
            user_attrs=self._inner.get_study_user_attrs(study_id),
            system_attrs={**self._inner.get_study_system_attrs(study_id), **(scope.attributes or {})},
            study_id=study_id,
        )

    def get_study_id_from_name(self, study_name: str) -> int:
        """As Optuna's."""
        return self._inner.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """As Optuna's."""
        return self._inner.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """As Optuna's."""
        return self._inner.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """As Optuna's."""
        return self._inner.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """As Optuna's."""
        return self._inner.get_study_system_attrs(study_id)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """As Optuna's."""
        return self._inner.get_trial(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """As Optuna's."""
        return self._inner.get_all_trials(study_id, deepcopy=deepcopy, states=states)

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """The trial that the job recommends, by all runs of all trials; where there is none, Optuna's by first runs."""
        best = current_scope().best
        if best is not None:
            trial = self._inner.get_trial(best)
            if trial.state is TrialState.COMPLETE:
                return trial
        return self._inner.get_best_trial(study_id)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ReadOnlyStudies

    create_new_study = _refuse
    delete_study = _refuse
    set_study_user_attr = _refuse
    set_study_system_attr = _refuse
    create_new_trial = _refuse
    set_trial_param = _refuse
    set_trial_state_values = _refuse
    set_trial_intermediate_value = _refuse
    set_trial_user_attr = _refuse
    set_trial_system_attr = _refuse
