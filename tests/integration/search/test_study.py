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
from tuner.schedules import Constant, Cosine, Schedule, Warmup
from tuner.search.controls import controls
from tuner.search.decisions import TrialStatus
from tuner.search.settings import SearchSettings
from tuner.search.space import FamilySpace, FloatRange, OptimizerKind, SearchSpace, default_space
from tuner.search.study import Study, StudyTrial

SPACE = default_space(OptimizerKind.ADAM)
NARROW = SearchSpace(
    peak_lr=FloatRange(low=1e-4, high=1e-2, log=True),
    warmup=(0.1,),
    floor=(0.0,),
    families=(FamilySpace(name="cosine"), FamilySpace(name="linear")),
)
STEPS = (100, 300, 900)
Reopen = Callable[[], BaseStorage]


def settings(space: SearchSpace = SPACE, seed: int = 0) -> SearchSettings:
    return SearchSettings(total_steps=900, space=space, seed=seed)


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


def told(storage: BaseStorage, name: str = "job") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)


def pruned_at_first(optuna_number: int, loss: float | None) -> StudyTrial:
    return StudyTrial(optuna_number=optuna_number, steps_results=((STEPS[0], loss),), status=TrialStatus.PRUNED)


def with_history(storage: BaseStorage, *, name: str = "job", finished: int = 10, seed: int = 0) -> Study:
    """A study that has tried controls and told what became of them."""
    study = Study.open(storage, name=name, settings=settings(seed=seed))
    asked = [
        study.ask(number=number, schedule=control.schedule)
        for number, control in enumerate(controls(SPACE, trials=24)[:finished])
    ]
    study.sync([pruned_at_first(one.optuna_number, float(one.optuna_number)) for one in asked])
    return study


def test_the_same_history_gives_the_same_suggestion(reopen: Reopen) -> None:
    with_history(reopen(), name="one")
    with_history(reopen(), name="two")

    one, two = (
        Study.open(reopen(), name=name, settings=settings()).ask(number=10, schedule=None) for name in ("one", "two")
    )

    assert one == two
    assert SPACE.values_of(one.schedule) is not None


def test_another_number_or_seed_gives_another_suggestion(storage: BaseStorage) -> None:
    first = with_history(storage, name="one").ask(number=10, schedule=None)
    other_number = with_history(storage, name="two").ask(number=11, schedule=None)
    other_seed = with_history(storage, name="three", seed=1).ask(number=10, schedule=None)

    assert len({one.schedule for one in (first, other_number, other_seed)}) == 3


def test_a_suggestion_lost_in_a_crash_is_made_again(reopen: Reopen) -> None:
    lost = with_history(reopen()).ask(number=10, schedule=None)

    study = Study.open(reopen(), name="job", settings=settings())
    assert study.abandon_orphans(range(10)) == 1
    again = study.ask(number=10, schedule=None)

    assert again.schedule == lost.schedule
    assert told(reopen())[lost.optuna_number].state is TrialState.FAIL
    assert study.abandon_orphans([*range(10), again.optuna_number]) == 0


def test_a_control_is_a_trial_with_all_its_parameters(storage: BaseStorage) -> None:
    study = Study.open(storage, name="job", settings=settings())
    schedule = controls(SPACE, trials=24)[3].schedule

    asked = study.ask(number=0, schedule=schedule)

    (trial,) = told(storage)
    assert asked.schedule == schedule
    assert trial.params == SPACE.values_of(schedule)
    assert trial.constraints == {}
    assert trial.user_attrs == {
        "trial": 0,
        "control": True,
        "label": schedule.label,
        "schedule": schedule.to_json(),
    }


def test_a_control_outside_the_space_is_tried_and_never_followed(storage: BaseStorage) -> None:
    study = Study.open(storage, name="job", settings=settings(NARROW))
    outside = [
        Schedule(peak_lr=peak, family=family, warmup=Warmup(shape="linear", fraction=0.05))
        for peak in (1e-3, 3e-3, 9e-3)
        for family in (Constant(), Cosine())
    ]
    asked = [study.ask(number=number, schedule=schedule) for number, schedule in enumerate(outside)]
    asked += [study.ask(number=number, schedule=None) for number in range(6, 20)]
    study.sync(
        [
            StudyTrial(
                optuna_number=one.optuna_number,
                steps_results=tuple((steps, 0.1 if one.optuna_number < 6 else 0.5) for steps in STEPS),
                status=TrialStatus.COMPLETED,
            )
            for one in asked
        ]
    )

    later = [study.ask(number=number, schedule=None) for number in range(20, 30)]

    trials = told(storage)
    assert [one.schedule for one in asked[:6]] == outside
    assert all(trial.params == {} and trial.value == 0.1 for trial in trials[:6])
    assert all(trial.params.keys() == {"family", "peak_lr", "warmup", "floor"} for trial in trials[6:])
    assert all(NARROW.values_of(one.schedule) is not None for one in later)
    assert optuna.load_study(study_name="job", storage=storage).best_trial.number >= 6


def test_results_are_reported_at_the_updates_of_their_rungs(storage: BaseStorage) -> None:
    study = Study.open(storage, name="job", settings=settings())
    numbers = [study.ask(number=number, schedule=None).optuna_number for number in range(4)]
    rungs = tuple(zip(STEPS, (0.9, 0.8, 0.7), strict=True))

    study.sync(
        [
            StudyTrial(optuna_number=numbers[0], steps_results=rungs, status=TrialStatus.COMPLETED),
            StudyTrial(optuna_number=numbers[1], steps_results=rungs[:2], status=TrialStatus.PRUNED),
            StudyTrial(optuna_number=numbers[2], steps_results=rungs[:1], status=TrialStatus.FAILED),
            StudyTrial(optuna_number=numbers[3], steps_results=rungs[:1], status=TrialStatus.ACTIVE),
        ]
    )

    trials = told(storage)
    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.RUNNING,
    ]
    assert [trial.intermediate_values for trial in trials] == [dict(rungs[:n]) for n in (3, 2, 1, 1)]
    assert [trial.value for trial in trials[:2]] == [0.7, 0.8]


def test_a_divergence_is_finite_far_above_all_and_marked(storage: BaseStorage) -> None:
    study = Study.open(storage, name="job", settings=settings())
    asked = [study.ask(number=number, schedule=None) for number in range(2)]

    study.sync(
        [
            StudyTrial(optuna_number=0, steps_results=((100, 25.0), (300, None)), status=TrialStatus.PRUNED),
            StudyTrial(optuna_number=1, steps_results=((100, 40.0),), status=TrialStatus.PRUNED),
        ]
    )

    diverged, other = told(storage)
    assert [one.optuna_number for one in asked] == [0, 1]
    assert diverged.state is TrialState.PRUNED
    assert diverged.intermediate_values == {100: 25.0, 300: 400.0}
    assert list(diverged.constraints.values()) == [1.0]
    assert other.constraints == {}


def test_a_control_that_only_went_on_to_be_measured_is_not_followed(storage: BaseStorage) -> None:
    study = Study.open(storage, name="job", settings=settings())
    default, constant = (one.schedule for one in controls(SPACE, trials=24)[:2])
    for number, schedule in enumerate((default, constant, None)):
        study.ask(number=number, schedule=schedule)

    study.sync(
        [
            StudyTrial(
                optuna_number=number,
                steps_results=tuple((steps, loss) for steps in STEPS),
                status=TrialStatus.COMPLETED,
            )
            for number, loss in enumerate((0.5, 0.9, 0.7))
        ]
    )

    assert [bool(trial.constraints) for trial in told(storage)] == [False, True, False]
    assert [trial.state for trial in told(storage)] == [TrialState.COMPLETE] * 3


def test_syncing_again_changes_nothing(reopen: Reopen) -> None:
    storage = reopen()
    study = Study.open(storage, name="job", settings=settings())
    for number in range(3):
        study.ask(number=number, schedule=None)
    trials = [
        StudyTrial(optuna_number=0, steps_results=((100, None),), status=TrialStatus.PRUNED),
        StudyTrial(optuna_number=1, steps_results=((100, 0.5), (300, 0.4)), status=TrialStatus.ACTIVE),
        StudyTrial(optuna_number=2, steps_results=((100, 0.6),), status=TrialStatus.PRUNED),
    ]
    study.sync(trials)
    before = told(storage)

    study.sync(trials)
    Study.open(reopen(), name="job", settings=settings()).sync(trials)

    assert told(reopen()) == before


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_sync_cut_off_anywhere_is_completed_by_the_next(
    reopen: Reopen, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    study = Study.open(reopen(), name="job", settings=settings())
    study.ask(number=0, schedule=None)
    trial = StudyTrial(optuna_number=0, steps_results=((100, 0.5), (300, None)), status=TrialStatus.PRUNED)
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
    Study.open(reopen(), name="job", settings=settings()).sync([trial])

    (frozen,) = told(reopen())
    assert frozen.state is TrialState.PRUNED
    assert frozen.intermediate_values == {100: 0.5, 300: 10.0}
    assert list(frozen.constraints.values()) == [1.0]


def test_a_study_refuses_another_space(reopen: Reopen) -> None:
    Study.open(reopen(), name="job", settings=settings())

    with pytest.raises(InvalidValue, match="frozen for the life of its study"):
        Study.open(reopen(), name="job", settings=settings(NARROW))


def test_a_study_needs_a_space(storage: BaseStorage) -> None:
    with pytest.raises(InvalidValue, match="space must be given"):
        Study.open(storage, name="job", settings=SearchSettings(total_steps=900))


def test_optuna_keeps_quiet(
    storage: BaseStorage, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        study = with_history(storage)
        for number in range(10, 14):
            study.ask(number=number, schedule=None)

    assert capfd.readouterr() == ("", "")
