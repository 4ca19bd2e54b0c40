"""The public sampler on the storages of jobs: the study of a job is continued, and several processes share one."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from tests.integration.store.databases import empty_url, postgres  # noqa: F401
from tuner.errors import InvalidValue
from tuner.metric import Metric
from tuner.optuna import ScheduleSampler, suggest_schedule
from tuner.schedules import Cosine, Linear, Schedule, Warmup
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Role, TrialStatus
from tuner.search.optuna.study import Study, StudyTrial
from tuner.search.settings import SearchSettings
from tuner.search.space import Choice, OptimizerKind, default_space
from tuner.search.training_key import training_key

optuna.logging.set_verbosity(optuna.logging.WARNING)

STEPS = 900
SETTINGS = SearchSettings(
    total_steps=STEPS,
    space=default_space(OptimizerKind.ADAM),
    incumbent=Schedule(peak_lr=7e-4, family=Cosine()),  # outside the space: between two points, and without a fraction
    options={"dropout": Choice(values=(0.0, 0.2))},
    seed=5,
)
ACCURACY = Metric(name="accuracy", direction="maximize")
PROGRAM = """
import sys
import optuna
from tuner.optuna import suggest_schedule, ScheduleSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.load_study(study_name="shared", storage=sys.argv[1], sampler=ScheduleSampler("adam", total_steps=900))
study.optimize(lambda trial: abs(suggest_schedule(trial).peak_lr - 2e-3), n_trials=4)
"""


@pytest.fixture
def storage(empty_url: str) -> Iterator[RDBStorage]:  # noqa: F811
    storage = RDBStorage(empty_url)
    yield storage
    storage.engine.dispose()


def configuration(schedule: Schedule, *, dropout: float = 0.0) -> Configuration:
    return Configuration(schedule=schedule, options=(("dropout", dropout),))


def job_study(storage: RDBStorage) -> None:
    """As a job leaves it: an incumbent outside the space, a complete trial, a stopped one, one that diverged."""
    study = Study.open(storage, name="job", settings=SETTINGS, metric=ACCURACY)
    warmup = Warmup(shape="linear", fraction=0.05)
    rows = [
        (configuration(SETTINGS.incumbent), Role.INCUMBENT, TrialStatus.COMPLETED, -0.7, None),
        (
            configuration(Schedule(peak_lr=2e-3, family=Linear(), warmup=warmup)),
            None,
            TrialStatus.COMPLETED,
            -0.9,
            None,
        ),
        (configuration(Schedule(peak_lr=1e-4, family=Linear()), dropout=0.2), None, TrialStatus.PRUNED, None, None),
        (configuration(Schedule(peak_lr=3e-2, family=Linear())), None, TrialStatus.PRUNED, None, 90),
    ]
    for number, (one, role, status, loss, diverged_at) in enumerate(rows):
        asked = study.ask(one, number=number, role=role)
        end = -0.3 if loss is None else loss
        points = tuple((step, end + math.exp(-step / 300)) for step in (45, 90, 180, 450))
        trial = StudyTrial(
            optuna_number=asked,
            status=status,
            losses=points[: 1 if diverged_at else 4],
            loss=loss,
            diverged_at=diverged_at,
        )
        study.sync([trial])


def test_the_study_of_a_job_is_continued_with_its_own_space_and_options(storage):
    job_study(storage)
    study = optuna.load_study(study_name="job", storage=storage)
    study.sampler = ScheduleSampler.of_job(study)

    def objective(trial):
        schedule = suggest_schedule(trial)
        trial.suggest_categorical("option.dropout", (0.0, 0.2))
        return 0.9 - abs(math.log(schedule.peak_lr / 2e-3)) / 10

    study.optimize(objective, n_trials=3)
    assert [trial.state for trial in study.trials[4:]] == [TrialState.COMPLETE] * 3
    # One study: the parameters have the same names and distributions, whoever opened the trial.
    linear = next(trial for trial in study.trials[1:] if trial.params["family"] == "linear")
    assert all(linear.distributions[name] == study.trials[1].distributions[name] for name in ("family", "peak_lr"))
    keys = [
        training_key(
            configuration(
                Schedule.from_json(trial.user_attrs["schedule"]), dropout=trial.params.get("option.dropout", 0.0)
            ),
            total_steps=STEPS,
        )
        for trial in study.trials
    ]
    assert len(set(keys)) == len(keys)


def test_the_sampler_reads_every_trial_of_a_job(storage):
    job_study(storage)
    study = optuna.load_study(study_name="job", storage=storage)
    sampler = ScheduleSampler.of_job(study)
    state = sampler._state(study, trials=study.trials)
    assert [run.status.value for run in state.runs] == ["finished", "finished", "stopped", "diverged"]
    assert [run.loss for run in state.runs] == [-0.7, -0.9, None, None]
    assert [trial.configuration.options for trial in state.trials][2] == (("dropout", 0.2),)
    assert sampler.recommended(study).number == 1


def test_a_study_that_no_job_made_is_refused(storage):
    study = optuna.create_study(study_name="mine", storage=storage)
    with pytest.raises(InvalidValue, match="study must be the study of a job, which has the attribute tuner:search"):
        ScheduleSampler.of_job(study)


def test_processes_that_share_a_storage_train_no_schedule_twice(storage, empty_url):  # noqa: F811
    optuna.create_study(study_name="shared", storage=storage)
    running = [subprocess.Popen([sys.executable, "-c", PROGRAM, empty_url]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    trials = optuna.load_study(study_name="shared", storage=storage).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 8
    schedules = [Configuration(schedule=Schedule.from_json(trial.user_attrs["schedule"])) for trial in trials]
    assert len({training_key(one, total_steps=STEPS) for one in schedules}) == 8
