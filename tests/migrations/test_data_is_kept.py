"""A database that an earlier release filled goes up with everything in it, and back."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial

import optuna
import pytest
from sqlalchemy import text

from tests.integration.store.builders import offer
from tests.migrations.released_rows import (
    CLASSES,
    NO_REPORT,
    as_before,
    as_now,
    job_named,
    without,
)
from tests.migrations.revisions import all_rows, engine_of, run
from tuner.errors import DatabaseUnavailable
from tuner.jobs.admission.change import JobChange
from tuner.jobs.priority import Priority
from tuner.jobs.records import LeasedRun
from tuner.jobs.states import JobState
from tuner.jobs.study_state import study_state
from tuner.orchestrator import run_planning_step
from tuner.people.permissions import LOCAL
from tuner.report.report import Report
from tuner.search.decision.decisions import Role
from tuner.search.settings import SearchSettings
from tuner.store import Store
from tuner.store.maintenance.migrate import VERSION_TABLE, is_current, upgrade


def test_the_fixture_is_what_it_says(released_url: str) -> None:
    rows = all_rows(released_url)
    assert [job["state"] for _, job in sorted(rows["tuner_jobs"].items())] == [
        "completed",
        "running",
        "queued",
        "cancelled",
    ]
    assert {job["priority"] for job in rows["tuner_jobs"].values()} == set(CLASSES)
    assert len(rows["tuner_reports"]) == 1
    assert len(rows["tuner_curve_points"]) > 50
    assert not is_current(released_url)


def test_going_up_keeps_every_row_and_every_value(released_url: str) -> None:
    before = as_now(all_rows(released_url))
    upgrade(released_url)
    after = all_rows(released_url)
    for table, rows in without(before, "tuner_workers", "tuner_jobs", VERSION_TABLE).items():
        assert rows.keys() == after[table].keys(), table
        for key, row in rows.items():
            assert row.items() <= after[table][key].items(), table
    for key, job in before["tuner_jobs"].items():
        now = after["tuner_jobs"][key]
        kept = {name: value for name, value in job.items() if name not in ("priority", "spec")}
        assert kept.items() <= now.items()
        assert now["spec"] == {**job["spec"], "priority": CLASSES[job["priority"]]}
        SearchSettings.model_validate(now["spec"]["search"])
        assert now["priority"] == Priority(CLASSES[job["priority"]]).rank


def test_what_is_new_is_filled_in(released_url: str) -> None:
    upgrade(released_url)
    rows = all_rows(released_url)
    for job in rows["tuner_jobs"].values():
        assert (job["owner"], job["shared"], job["name"]) == (LOCAL.user, False, job["spec"]["name"])
    assert {job["best"] for job in rows["tuner_jobs"].values()} == {None}
    assert rows["tuner_forecasts"] == {}
    for trial in rows["tuner_trials"].values():
        assert (trial["family"], trial["options"]) == (trial["schedule"]["family"]["name"], {})
    for one in rows["tuner_runs"].values():
        assert (one["queued_at"], one["device_seconds"]) == (one["created_at"], 0.0)
        assert (one["shared_updates"], one["prefix_key"], one["alternatives"]) == (0, None, [])
    assert {job["updates_saved"] for job in rows["tuner_jobs"].values()} == {0}
    assert rows["tuner_accounts"].keys() == {(job["team"], LOCAL.user) for job in rows["tuner_jobs"].values()}
    assert rows["tuner_workers"] == {}


def test_the_store_reads_what_the_earlier_release_left(released_url: str) -> None:
    upgrade(released_url)
    with closing(Store.open(released_url)) as store:
        jobs = {job.spec.name: job for job in store.jobs.list().items}
        assert jobs["half done"].state is JobState.RUNNING
        assert jobs["half done"].spec.priority is Priority.HIGH
        assert jobs["can wait"].spec.priority is Priority.LOW
        done = next(job for job in jobs.values() if job.state is JobState.COMPLETED)
        assert (store.jobs.report(done.id), done.error) == (None, NO_REPORT)
        assert len(store.events.after(0, job_id=done.id, limit=1000)) > 50
        study = optuna.load_study(study_name=done.id, storage=store.optuna_storage())
        assert len(study.trials) == 4


def test_a_job_that_was_half_done_goes_on(released_url: str) -> None:
    upgrade(released_url)
    half_done = job_named(all_rows(released_url), "half done")["id"]
    with closing(Store.open(released_url)) as store:
        assert store.reaper.reap().requeued == 1
    runs = [row for row in all_rows(released_url)["tuner_runs"].values() if row["job_id"] == half_done]
    assert sorted(row["state"] for row in runs) == ["queued", "queued", "succeeded"]


def test_a_job_that_had_short_runs_comes_to_a_report_of_whole_ones(released_url: str) -> None:
    upgrade(released_url)
    half_done = job_named(all_rows(released_url), "half done")["id"]
    with engine_of(released_url) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE tuner_trials SET optuna_number = NULL"))  # the fixture has no study of it
    with closing(Store.open(released_url)) as store:
        store.reaper.reap()
        store.jobs.change(half_done, JobChange(budget=3))
        versions = {info.name: info.version for info in store.workers.workloads()}
        asked = offer("w1", workloads=versions)
        claim = partial(store.queue.claim, asked, lease_seconds=60.0, lock_seconds=60.0, job_id=half_done)
        while (taken := claim()) is not None:
            if isinstance(taken, LeasedRun):
                loss = 1.0 + taken.schedule.peak_lr
                store.leases.finish(taken, loss=loss, step=taken.total_steps, updates=taken.total_steps)
            else:
                run_planning_step(store, lock=taken)
        assert store.jobs.get(half_done).state is JobState.COMPLETED
        report = Report.model_validate(store.jobs.report(half_done))
        assert report.cost.full_runs == report.cost.budget == 3.0
        assert {run.steps for trial in report.trials for run in trial.runs} == {report.total_steps}
        trials = store.trials.list(half_done).items
        assert [trial.state.value for trial in trials] == ["cancelled"] * 3 + ["completed"] * (len(trials) - 3)


def test_new_rows_get_new_numbers(released_url: str) -> None:
    upgrade(released_url)
    with closing(Store.open(released_url)) as store:
        spec = store.jobs.list().items[0].spec
        job = store.jobs.submit(spec)
        assert store.jobs.list().items[0].id == job.id
        events = [event.id for event in store.events.after(0, limit=1000)]
        assert events == sorted(set(events))


def test_the_default_control_becomes_the_incumbent_and_others_trials_like_any_other(released_url: str) -> None:
    groups = ("default", "constant", "wsd", "start")
    with engine_of(released_url) as engine:
        run(engine, "upgrade", "0005")
    with engine_of(released_url) as engine, engine.begin() as connection:
        of_four = connection.execute(text("SELECT job_id FROM tuner_trials WHERE number = 3")).scalar_one()
        for number, group in enumerate(groups):
            connection.execute(
                text("UPDATE tuner_trials SET control = :control WHERE number = :number AND job_id = :job"),
                {"control": group, "number": number, "job": of_four},
            )
    upgrade(released_url)
    with closing(Store.open(released_url)) as store:
        state = study_state(store.planning.load(of_four))
    assert [trial.role for trial in state.trials] == [Role.INCUMBENT, None, None, Role.START]


def test_what_the_third_revision_held_is_kept_and_its_trials_search_no_options(released_url: str) -> None:
    with engine_of(released_url) as engine:
        run(engine, "upgrade", "0003")
        with engine.begin() as connection:
            connection.execute(text("UPDATE tuner_jobs SET updates_saved = 30"))
            connection.execute(text("UPDATE tuner_runs SET shared_updates = 30, trunk = 'abc'"))
    before = as_now(all_rows(released_url))
    upgrade(released_url)
    after = all_rows(released_url)
    trials = before["tuner_trials"]
    assert len(trials) > 4
    assert after["tuner_trials"] == {at: {**row, "options": {}} for at, row in trials.items()}
    for table, kept in without(before, "tuner_trials", VERSION_TABLE).items():
        assert kept.keys() == after[table].keys(), table
        assert all(row.items() <= after[table][at].items() for at, row in kept.items()), table
    with closing(Store.open(released_url)) as store:
        for job in store.jobs.list().items:
            state = study_state(store.planning.load(job.id))
            assert (state.settings.options, state.usual_options) == ({}, ())
            assert {one.configuration.options for one in state.trials} <= {()}


def test_the_fourth_revision_goes_up_in_todays_words_and_comes_back_unchanged(released_url: str) -> None:
    with engine_of(released_url) as engine:
        run(engine, "upgrade", "0004")
        seq, spec = next((row["seq"], row["spec"]) for row in all_rows(released_url)["tuner_jobs"].values())
        with engine.begin() as connection:
            connection.execute(text("UPDATE tuner_runs SET trunk = 'abc'"))
            connection.execute(
                text("UPDATE tuner_jobs SET spec = :spec WHERE seq = :seq"),
                {"spec": json.dumps({**spec, "limits": {"target_loss": 0.25, "patience": None}}), "seq": seq},
            )
        before = all_rows(released_url)
        upgrade(released_url)
        after = all_rows(released_url)
        assert {run["prefix_key"] for run in after["tuner_runs"].values()} == {"abc"}
        limits = next(row["spec"]["limits"] for row in after["tuner_jobs"].values() if row["seq"] == seq)
        assert limits == {"target": 0.25, "patience": None}
        for table, kept in without(as_now(before), "tuner_jobs", VERSION_TABLE).items():
            assert all(row.items() <= after[table][at].items() for at, row in kept.items()), table
        assert {event["kind"] for event in after["tuner_events"].values() if "value" in event["data"]} >= {
            "run.evaluated",
            "run.succeeded",
        }
        run(engine, "downgrade", "0004")
    assert all_rows(released_url) == as_before(before)


@pytest.mark.pg
@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_an_upgrade_gives_up_where_somebody_holds_a_table_and_changes_nothing(released_url: str) -> None:
    before = all_rows(released_url)
    with engine_of(released_url) as engine, engine.connect() as holder:
        holder.execute(text("SET idle_in_transaction_session_timeout = 0"))  # a reader of another program
        holder.execute(text("LOCK TABLE tuner_jobs IN ACCESS SHARE MODE"))  # as any reader does
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            upgrade(released_url)
        holder.rollback()
    assert all_rows(released_url) == before
    upgrade(released_url)
    assert is_current(released_url)
