"""Planning steps that go wrong in the middle, on the real store and the real study."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import optuna
import pytest

from tests.integration.store.builders import announce, claim_lock, offer
from tuner.errors import DatabaseUnavailable, StudyLockLost
from tuner.jobs.admission.admit import admit
from tuner.jobs.records import Level, WorkloadInfo
from tuner.jobs.states import JobState, RunState
from tuner.orchestrator import run_planning_step
from tuner.search.space import OptimizerKind
from tuner.store import Store

OFFER = {"letters": "1"}
INFO = WorkloadInfo(
    name="letters",
    version="1",
    level=Level.DECLARED,
    description="Nobody trains it here.",
    options_schema={"type": "object", "properties": {}, "additionalProperties": False},
    optimizer_option=None,
    optimizer=OptimizerKind.ADAM,
    default_steps=90,
    peak_lr={},
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tuner.db"


@pytest.fixture
def store(file):
    store = Store.open(f"sqlite:///{file}")
    announce(store, "w", device="cpu", workloads=[INFO])
    yield store
    store.close()


@pytest.fixture
def job(store):
    return store.jobs.submit(admit({"workload": "letters", "search": {"trials": 4, "rungs": 3}}, workloads=[INFO]))


def lock(store):
    return claim_lock(store, offer("w", workloads=OFFER))


def optuna_states(store, job):
    study = optuna.load_study(study_name=job.id, storage=store.optuna_storage())
    return [trial.state.name for trial in study.get_trials(deepcopy=False)]


def sql(file, statement):
    with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        connection.execute(statement)


def optuna_numbers(store, job):
    return [trial.optuna_number for trial in store.trials.list(job.id).items]


def open_trial(store):
    run_planning_step(store, lock=lock(store))


def plan_beside(store):
    """As while a run trains: no schedule is chosen then."""
    run_planning_step(store, lock=lock(store), ahead=True)


def test_optuna_is_told_of_a_trial_beside_its_training(store, job):
    open_trial(store)
    assert optuna_numbers(store, job) == [None]
    plan_beside(store)
    assert optuna_numbers(store, job) == [0]
    assert optuna_states(store, job) == ["RUNNING"]


def test_a_planner_that_slept_past_its_lock_harms_no_trial_of_its_successor(store, file, job, monkeypatch):
    open_trial(store)
    stale = lock(store)
    what_it_loaded = store.planning.load(job.id)
    sql(file, "UPDATE tuner_jobs SET lock_expires_at = 0")
    open_trial(store)
    plan_beside(store)
    with monkeypatch.context() as asleep:
        asleep.setattr(store.planning, "load", lambda job_id: what_it_loaded)
        for ahead in (False, True):
            with pytest.raises(StudyLockLost):
                run_planning_step(store, lock=stale, ahead=ahead)
    assert optuna_states(store, job) == ["RUNNING"] * 2
    assert optuna_numbers(store, job) == [0, 1]


def test_a_failure_of_the_studys_tables_is_the_databases_and_passes(store, file, job):
    open_trial(store)
    plan_beside(store)
    sql(file, "ALTER TABLE trials RENAME TO trials_away")
    failing = lock(store)
    with pytest.raises(DatabaseUnavailable, match="study's tables"):
        run_planning_step(store, lock=failing, ahead=True)
    sql(file, "ALTER TABLE trials_away RENAME TO trials")
    run_planning_step(store, lock=failing)
    plan_beside(store)
    assert optuna_numbers(store, job) == [0, 1]
    assert store.jobs.get(job.id).state is JobState.RUNNING


def test_what_trains_next_does_not_wait_for_the_studys_tables(store, file, job):
    open_trial(store)
    plan_beside(store)
    sql(file, "ALTER TABLE trials RENAME TO trials_away")
    open_trial(store)
    assert [run.state for run in store.runs.list(job.id).items] == [RunState.QUEUED] * 2


def test_an_optuna_trial_that_we_do_not_have_is_given_up(store, job):
    open_trial(store)
    plan_beside(store)
    optuna.load_study(study_name=job.id, storage=store.optuna_storage()).ask()
    open_trial(store)
    plan_beside(store)
    assert optuna_states(store, job) == ["RUNNING", "FAIL", "RUNNING"]
    assert optuna_numbers(store, job) == [0, 2]


def test_a_trial_whose_optuna_number_was_lost_on_the_way_is_told_of_anew(store, job, monkeypatch):
    open_trial(store)
    dying = lock(store)
    with monkeypatch.context() as broken:
        broken.setattr(store.planning, "set_optuna_numbers", raise_lost)
        with pytest.raises(ConnectionError):
            run_planning_step(store, lock=dying, ahead=True)
    run_planning_step(store, lock=dying, ahead=True)
    assert optuna_states(store, job) == ["FAIL", "RUNNING"]
    assert optuna_numbers(store, job) == [1]


def raise_lost(*_, **__):
    raise ConnectionError("lost between Optuna's tables and ours")


def test_each_step_asks_for_one_run_and_planning_stays_due_until_nothing_is_left(store, job):
    steps = 0
    while (found := lock(store)) is not None:
        run_planning_step(store, lock=found)
        steps += 1
    assert steps == 4  # a trial each, and none that finds nothing to do
    assert [run.state for run in store.runs.list(job.id).items] == [RunState.QUEUED] * 4
