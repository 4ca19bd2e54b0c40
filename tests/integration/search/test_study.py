"""The Optuna study against real storages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from sqlite3 import Connection

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy import event

from tuner.errors import InvalidValue
from tuner.jobs.forecasts import BestTrial
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Role, TrialStatus
from tuner.search.optuna.study import Study, StudyTrial
from tuner.search.settings import SearchSettings
from tuner.search.space import FamilySpace, FloatRange, OptimizerKind, SearchSpace, default_space

SPACE = default_space(OptimizerKind.ADAM)
NARROW = SearchSpace(
    peak_lr=FloatRange(low=1e-4, high=1e-2, log=True),
    warmup=(0.1,),
    floor=(0.0,),
    families=(FamilySpace(name="cosine"), FamilySpace(name="linear")),
)
CURVE = ((100, 0.9), (300, 0.8), (900, 0.7))
WARMUP = Warmup(shape="linear", fraction=0.05)
INSIDE = tuple(
    Configuration(schedule=schedule)
    for schedule in (
        Schedule(peak_lr=1e-3, family=Cosine(), warmup=WARMUP),
        Schedule(peak_lr=2e-3, family=Linear(), warmup=WARMUP, floor=0.1),
        Schedule(peak_lr=3e-3, family=Wsd(cooldown=0.3), warmup=WARMUP),
        Schedule(peak_lr=4e-4, family=Constant(), warmup=WARMUP),
    )
)
Reopen = Callable[[], BaseStorage]


def settings(space: SearchSpace = SPACE) -> SearchSettings:
    return SearchSettings(total_steps=900, space=space)


@pytest.fixture(params=["memory", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """The storage, as another process would open it."""
    if request.param == "memory":
        memory = InMemoryStorage()
        yield lambda: memory
        return
    opened: list[RDBStorage] = []

    def open_file() -> BaseStorage:
        storage = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
        storage.engine.dispose()
        event.listen(storage.engine, "connect", _without_waiting_for_the_disk)
        opened.append(storage)
        return storage

    yield open_file
    for storage in opened:
        storage.engine.dispose()


def _without_waiting_for_the_disk(connection: Connection, record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")


@pytest.fixture
def storage(reopen: Reopen) -> BaseStorage:
    return reopen()


def recorded(storage: BaseStorage, name: str = "job") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)


def opened(storage: BaseStorage, count: int, *, name: str = "job") -> Study:
    """A study with so many trials, none of which has a result."""
    study = Study.open(storage, name=name, settings=settings(), metric=DEFAULT_METRIC)
    for number, configuration in enumerate(INSIDE[:count]):
        assert study.ask(configuration, number=number, role=None) == number
    return study


def trial_of(
    number: int,
    status: TrialStatus,
    *losses: tuple[int, float],
    loss: float | None = None,
    diverged_at: int | None = None,
) -> StudyTrial:
    return StudyTrial(optuna_number=number, status=status, losses=losses, loss=loss, diverged_at=diverged_at)


def test_a_trial_has_the_parameters_of_its_schedule_and_its_number_and_role(storage: BaseStorage) -> None:
    study = Study.open(storage, name="job", settings=settings(), metric=DEFAULT_METRIC)

    numbers = [study.ask(one, number=7 + place, role=Role.INCUMBENT) for place, one in enumerate(INSIDE)]

    trials = recorded(storage)
    assert numbers == [trial.number for trial in trials] == [0, 1, 2, 3]
    assert [trial.params for trial in trials] == [SPACE.values_of(one.schedule) for one in INSIDE]
    assert [trial.user_attrs for trial in trials] == [
        {"trial": 7 + place, "role": "incumbent", "label": one.schedule.label, "schedule": one.schedule.to_json()}
        for place, one in enumerate(INSIDE)
    ]
    assert {trial.state for trial in trials} == {TrialState.RUNNING}


def test_a_schedule_outside_the_space_is_a_trial_without_parameters(storage: BaseStorage) -> None:
    study = Study.open(storage, name="job", settings=settings(NARROW), metric=DEFAULT_METRIC)
    outside = Schedule(peak_lr=1e-3, family=Constant(), warmup=WARMUP)

    number = study.ask(Configuration(schedule=outside), number=0, role=Role.START)
    study.sync([trial_of(number, TrialStatus.COMPLETED, (900, 0.1), loss=0.1)])

    (trial,) = recorded(storage)
    assert trial.params == {}
    assert trial.user_attrs["schedule"] == outside.to_json()
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.1)


def test_a_trial_of_the_samplers_choice_has_no_role(storage: BaseStorage) -> None:
    opened(storage, 1)

    assert recorded(storage)[0].user_attrs["role"] is None


def test_a_trial_that_our_tables_lack_is_failed(reopen: Reopen) -> None:
    lost = opened(reopen(), 3).ask(INSIDE[3], number=3, role=None)

    study = Study.open(reopen(), name="job", settings=settings(), metric=DEFAULT_METRIC)
    assert study.abandon_orphans(range(3)) == 1
    again = study.ask(INSIDE[3], number=3, role=None)

    trials = recorded(reopen())
    assert [trial.state for trial in trials] == [*[TrialState.RUNNING] * 3, TrialState.FAIL, TrialState.RUNNING]
    assert trials[lost].params == trials[again].params
    assert study.abandon_orphans([*range(3), again]) == 0


def test_the_evaluations_of_the_first_run_are_the_intermediate_values(storage: BaseStorage) -> None:
    study = opened(storage, 4)

    study.sync(
        [
            trial_of(0, TrialStatus.COMPLETED, *CURVE, loss=0.7),
            trial_of(1, TrialStatus.PRUNED, *CURVE[:2]),
            trial_of(2, TrialStatus.FAILED, *CURVE[:1]),
            trial_of(3, TrialStatus.ACTIVE, *CURVE[:1]),
        ]
    )

    trials = recorded(storage)
    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.RUNNING,
    ]
    assert [trial.intermediate_values for trial in trials] == [dict(CURVE[:n]) for n in (3, 2, 1, 1)]
    assert [trial.value for trial in trials[:2]] == [0.7, 0.8]
    assert study.open_numbers() == {3}


def test_the_evaluations_of_a_run_that_goes_on_are_added(storage: BaseStorage) -> None:
    study = opened(storage, 1)
    for known in (1, 2, 3):
        study.sync([trial_of(0, TrialStatus.ACTIVE, *CURVE[:known])])
        assert recorded(storage)[0].intermediate_values == dict(CURVE[:known])


def test_a_divergence_is_finite_and_far_above_the_rest(storage: BaseStorage) -> None:
    study = opened(storage, 3)

    study.sync(
        [
            trial_of(0, TrialStatus.PRUNED, (100, 25.0), diverged_at=300),
            trial_of(1, TrialStatus.PRUNED, (100, 40.0)),
            trial_of(2, TrialStatus.PRUNED, diverged_at=7),
        ]
    )

    assert {trial.state for trial in recorded(storage)} == {TrialState.PRUNED}
    values = [trial.intermediate_values for trial in recorded(storage)]
    assert values == [{100: 25.0, 300: 250.0}, {100: 40.0}, {7: 10.0}]


def test_a_trial_pruned_before_its_first_evaluation_has_no_value(storage: BaseStorage) -> None:
    study = opened(storage, 1)

    study.sync([trial_of(0, TrialStatus.PRUNED)])

    (trial,) = recorded(storage)
    assert (trial.state, trial.value, trial.intermediate_values) == (TrialState.PRUNED, None, {})


def test_a_maximized_metric_is_a_study_of_that_direction_with_values_as_people_read_them(storage: BaseStorage) -> None:
    metric = Metric(name="accuracy", direction="maximize", unit="%")
    study = Study.open(storage, name="job", settings=settings(), metric=metric)
    for number in range(2):
        study.ask(INSIDE[number], number=number, role=None)

    study.sync(
        [
            trial_of(0, TrialStatus.PRUNED, (100, -25.0), diverged_at=300),
            trial_of(1, TrialStatus.COMPLETED, (100, -40.0), (900, -93.5), loss=-93.5),
        ]
    )

    stored = optuna.load_study(study_name="job", storage=storage)
    assert (stored.direction.name, stored.best_value, stored.user_attrs["metric"]) == ("MAXIMIZE", 93.5, "accuracy")
    diverged, other = stored.trials
    assert diverged.intermediate_values == {100: 25.0, 300: -250.0}
    assert other.intermediate_values == {100: 40.0, 900: 93.5}


def test_the_recommended_trial_is_an_attribute_of_the_study(storage: BaseStorage) -> None:
    study = opened(storage, 1)
    best = BestTrial(trial=4, label="cosine", value=0.3, std=0.01, low=0.28, high=0.32, runs=2, margin=0.01)

    study.recommend(None)
    assert "recommended" not in optuna.load_study(study_name="job", storage=storage).user_attrs
    for _ in range(2):
        study.recommend(best)

    attribute = optuna.load_study(study_name="job", storage=storage).user_attrs["recommended"]
    assert attribute == {"trial": 4, "label": "cosine", "value": 0.3, "interval": [0.28, 0.32]}


def test_syncing_again_changes_nothing(reopen: Reopen) -> None:
    storage = reopen()
    study = opened(storage, 3)
    trials = [
        trial_of(0, TrialStatus.PRUNED, diverged_at=100),
        trial_of(1, TrialStatus.ACTIVE, (100, 0.5), (300, 0.4)),
        trial_of(2, TrialStatus.PRUNED, (100, 0.6)),
    ]
    study.sync(trials)
    before = recorded(storage)

    study.sync(trials)
    Study.open(reopen(), name="job", settings=settings(), metric=DEFAULT_METRIC).sync(trials)

    assert recorded(reopen()) == before


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_sync_cut_off_anywhere_is_completed_by_the_next(
    reopen: Reopen, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    study = opened(reopen(), 1)
    trial = trial_of(0, TrialStatus.PRUNED, (100, 0.5), diverged_at=300)
    report = optuna.Trial.report
    reported: list[int] = []

    def report_until_the_crash(self: optuna.Trial, value: float, step: int) -> None:
        if len(reported) == done:
            raise KeyboardInterrupt
        reported.append(step)
        report(self, value, step)

    def crash(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Trial, "report", report_until_the_crash)
        patch.setattr(optuna.Study, "tell", crash)
        with pytest.raises(KeyboardInterrupt):
            study.sync([trial])
    Study.open(reopen(), name="job", settings=settings(), metric=DEFAULT_METRIC).sync([trial])

    (frozen,) = recorded(reopen())
    assert frozen.state is TrialState.PRUNED
    assert frozen.intermediate_values == {100: 0.5, 300: 10.0}


def test_a_study_refuses_another_space(reopen: Reopen) -> None:
    Study.open(reopen(), name="job", settings=settings(), metric=DEFAULT_METRIC)

    with pytest.raises(InvalidValue, match="frozen for the life of its study"):
        Study.open(reopen(), name="job", settings=settings(NARROW), metric=DEFAULT_METRIC)


def test_a_study_needs_a_space(storage: BaseStorage) -> None:
    with pytest.raises(InvalidValue, match="space must be set"):
        Study.open(storage, name="job", settings=SearchSettings(total_steps=900), metric=DEFAULT_METRIC)


def test_optuna_keeps_quiet(
    storage: BaseStorage, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        study = opened(storage, 4)
        study.sync([trial_of(0, TrialStatus.PRUNED, (100, 0.5))])

    assert capfd.readouterr() == ("", "")
