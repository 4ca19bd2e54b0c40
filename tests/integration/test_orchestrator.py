"""Planning steps that go wrong in the middle, on the real store and the real study."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import optuna
import pytest

from tests.integration.store.builders import announce, claim_lock, claim_run, forecast, offer, point
from tuner.errors import DatabaseUnavailable, StudyLockLost
from tuner.jobs.admission.admit import admit
from tuner.jobs.records import Level, StudyLock, WorkloadInfo
from tuner.jobs.states import JobState, RunState, TrialState
from tuner.jobs.study_state import study_state
from tuner.orchestrator import run_planning_step
from tuner.report.report import Report
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
    return store.jobs.submit(admit({"workload": "letters", "search": {"budget": 4}}, workloads=[INFO]))


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
    """As while a run trains: no run is requested then."""
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


def test_each_step_requests_one_run_until_the_budget_is_committed(store, job):
    steps = 0
    while (found := lock(store)) is not None:
        run_planning_step(store, lock=found)
        steps += 1
    runs = store.runs.list(job.id).items
    assert 2 <= len(runs) <= 4
    assert {run.state for run in runs} == {RunState.QUEUED}
    assert {run.total_steps for run in runs} == {90}
    assert len(runs) <= steps <= len(runs) + 1  # at most one that finds nothing worth its cost


def test_a_step_beside_a_run_requests_none_and_leaves_planning_due(store, job):
    open_trial(store)
    plan_beside(store)
    assert len(store.runs.list(job.id).items) == 1
    assert store.jobs.get(job.id).plan_due


def train(store, *, loss, points=()):
    lease = claim_run(store, offer("w", workloads=OFFER))
    store.leases.heartbeat(lease, points=points, lease_seconds=60.0)
    store.leases.finish(lease, loss=loss, step=90, updates=90)
    return lease


def test_a_finished_run_makes_its_trial_the_best_one_with_its_interval(store, job):
    open_trial(store)
    train(store, loss=0.5)
    open_trial(store)
    best = store.jobs.get(job.id).best
    assert (best.trial, best.runs) == (0, 1)
    assert best.value == pytest.approx(0.5, abs=0.05)
    assert best.low < best.value < best.high
    assert best.margin > 0.0
    (trial, other) = store.trials.list(job.id).items
    assert trial.state is TrialState.COMPLETED
    assert other.state is TrialState.ACTIVE


def test_a_run_is_stored_with_the_alternatives_of_its_choice(store, job):
    for loss in (0.5, 0.4):
        open_trial(store)
        train(store, loss=loss)
    open_trial(store)
    runs = store.runs.list(job.id).items
    considered = runs[-1].alternatives
    assert len(considered) > 1
    assert [one.value for one in considered] == sorted((one.value for one in considered), reverse=True)


def test_optuna_has_the_learning_curves_and_the_recommended_trial(store, job):
    points = [point(step, val_loss=2.0 - step / 60) for step in (0, 30, 60, 90)]
    for _ in range(2):
        open_trial(store)
        train(store, loss=0.5, points=points)
    open_trial(store)
    plan_beside(store)
    study = optuna.load_study(study_name=job.id, storage=store.optuna_storage())
    finished = study.trials[0]
    assert finished.state.name == "COMPLETE"
    assert finished.value == 0.5
    assert finished.intermediate_values == {one.step: one.val_loss for one in points}
    best = store.jobs.get(job.id).best
    recommended = study.user_attrs["recommended"]
    assert (recommended["trial"], recommended["value"]) == (best.trial, best.value)


def test_a_running_trial_has_its_evaluations_so_far_in_optuna(store, job):
    open_trial(store)
    lease = claim_run(store, offer("w", workloads=OFFER))
    for step in (0, 30):
        store.leases.heartbeat(lease, points=[point(step, val_loss=1.0)], lease_seconds=60.0)
        store.jobs.pause(job.id)
        store.jobs.resume(job.id)
        plan_beside(store)
    study = optuna.load_study(study_name=job.id, storage=store.optuna_storage())
    assert study.trials[0].intermediate_values == {0: 1.0, 30: 1.0}


def test_a_trial_whose_first_run_is_stopped_is_pruned_and_the_budget_pays_for_another(store, job):
    open_trial(store)
    train(store, loss=0.5)
    open_trial(store)
    lease = claim_run(store, offer("w", workloads=OFFER))
    store.leases.heartbeat(lease, points=[point(9, val_loss=3.0)], lease_seconds=60.0)
    store.leases.stop(lease, forecast=forecast(9), step=9, updates=9, reason="almost no chance")
    open_trial(store)
    plan_beside(store)
    trials = store.trials.list(job.id).items
    assert trials[1].state is TrialState.PRUNED
    assert "stopped after 9 updates" in (trials[1].end_reason or "")
    assert optuna_states(store, job)[:2] == ["COMPLETE", "PRUNED"]
    assert study_state(store.planning.load(job.id)).steps_committed == 90 + 9 + 90


def test_a_study_is_planned_again_after_a_crash_between_any_two_writes(store, job, monkeypatch):
    open_trial(store)
    train(store, loss=0.5)
    for name in ("close_trial", "set_best", "add_trial"):
        dying = lock(store)
        with monkeypatch.context() as broken:
            broken.setattr(store.planning, name, raise_lost)
            with pytest.raises(ConnectionError):
                run_planning_step(store, lock=dying)
        store.planning.release(dying, again=True)
    open_trial(store)
    assert [trial.state for trial in store.trials.list(job.id).items] == [TrialState.COMPLETED, TrialState.ACTIVE]
    assert store.jobs.get(job.id).best is not None


def test_the_report_has_the_histories_of_all_runs_and_why_one_was_stopped(store, job):
    open_trial(store)
    train(store, loss=0.5, points=[point(90, val_loss=0.5)])
    open_trial(store)
    lease = claim_run(store, offer("w", workloads=OFFER))
    store.leases.heartbeat(lease, points=[point(9, val_loss=3.0)], lease_seconds=60.0)
    store.leases.stop(lease, forecast=forecast(9), step=9, updates=9, reason="almost no chance")
    while (found := store.queue.claim(offer("w", workloads=OFFER), lease_seconds=60.0, lock_seconds=60.0)) is not None:
        if isinstance(found, StudyLock):
            run_planning_step(store, lock=found)
        else:
            store.leases.finish(found, loss=0.6, step=90, updates=90)
    report = Report.model_validate(store.jobs.report(job.id))
    assert report.cost.updates_stopped == 81
    assert report.cost.full_runs <= report.cost.budget == 4.0
    stopped = report.trials[1].runs[0]
    assert (stopped.status.value, stopped.steps) == ("stopped", 9)


def test_the_report_names_the_runs_that_failed_with_their_attempts_and_the_cause(store, job):
    open_trial(store)
    train(store, loss=0.5, points=[point(90, val_loss=0.5)])
    open_trial(store)
    store.leases.lose(claim_run(store, offer("w", workloads=OFFER)), reason="its node is gone")
    lease = claim_run(store, offer("w", workloads=OFFER))
    store.leases.fail(lease, reason="ValueError: a hole in the data\nand its traceback", retry=False)
    while (found := store.queue.claim(offer("w", workloads=OFFER), lease_seconds=60.0, lock_seconds=60.0)) is not None:
        if isinstance(found, StudyLock):
            run_planning_step(store, lock=found)
        else:
            store.leases.finish(found, loss=0.6, step=90, updates=90)
    report = Report.model_validate(store.jobs.report(job.id))
    assert report.reservations[0] == (
        f"1 run failed and has no result: trial 1 on seed {lease.seed} (1 failed, 1 lost): "
        "ValueError: a hole in the data."
    )
