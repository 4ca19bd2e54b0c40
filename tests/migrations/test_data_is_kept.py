"""A database that an earlier release filled goes up with everything in it, and back."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from typing import Any

import optuna
import pytest
from sqlalchemy import text

from tests.integration.store.builders import offer
from tests.migrations.revisions import Rows, all_rows, engine_of, run
from tuner.errors import DatabaseUnavailable
from tuner.jobs.admission.change import JobChange
from tuner.jobs.priority import Priority
from tuner.jobs.records import LeasedRun
from tuner.jobs.states import JobState
from tuner.jobs.study_state import study_state
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.orchestrator import run_planning_step
from tuner.people.permissions import LOCAL
from tuner.report.report import Report
from tuner.search.decision.decisions import Role
from tuner.search.settings import SearchSettings
from tuner.store import Store
from tuner.store.maintenance.migrate import VERSION_TABLE, is_current, upgrade

CLASSES = {0: "normal", 5: "high", -3: "low"}
"""Of the priorities in the fixture."""
AS_NUMBER = {"low": -1, "normal": 0, "high": 1}


def without(rows: Rows, *tables: str) -> Rows:
    return {name: content for name, content in rows.items() if name not in tables}


def job_named(rows: Rows, name: str) -> dict:
    return next(job for job in rows["tuner_jobs"].values() if job["spec"]["name"] == name)


FORMER_SEARCH = {"max_updates", "rungs", "ratio", "keep", "cohort", "audit", "controls", "finalists", "confirm_seeds"}
NO_REPORT = "its report was written by another version of Schedule Tuner: clone the job to get a new one"
ROLES = {"default": "incumbent", "start": "start"}


def as_now(rows: Rows) -> Rows:
    """Rows of revision 0004 and before as the present release stores them."""
    names = {"trunk": "prefix_key"}
    runs = {
        at: {names.get(name, name): value for name, value in row.items() if name not in ("kind", "rung")}
        for at, row in rows["tuner_runs"].items()
    }
    trials = {
        at: {name: value for name, value in row.items() if name not in ("cohort", "control")}
        | {"role": ROLES.get(row["control"])}
        for at, row in rows["tuner_trials"].items()
    }
    jobs = {at: job_as_now(row) for at, row in rows["tuner_jobs"].items()}
    workloads = {
        at: row | {"info": row["info"] | {"metric": DEFAULT_METRIC.model_dump()}}
        for at, row in rows["tuner_workloads"].items()
    }
    events = {at: row | {"data": in_todays_words(row["data"])} for at, row in rows["tuner_events"].items()}
    changed = {"tuner_runs": runs, "tuner_trials": trials, "tuner_jobs": jobs, "tuner_events": events}
    return {**rows, **changed, "tuner_workloads": workloads, "tuner_reports": {}}


def job_as_now(row: dict[str, Any]) -> dict[str, Any]:
    search = {name: value for name, value in row["spec"]["search"].items() if name not in FORMER_SEARCH}
    error = NO_REPORT if row["state"] == "completed" else row["error"]
    return row | {"metric": DEFAULT_METRIC.model_dump(), "error": error, "spec": {**row["spec"], "search": search}}


def as_before(rows: Rows) -> Rows:
    """Rows of revision 0005 or before once they have gone up and come back."""
    rungs = {job: lengths_of(rows, job) for job in {row["job_id"] for row in rows["tuner_runs"].values()}}
    jobs = {}
    for at, row in rows["tuner_jobs"].items():
        search = {name: value for name, value in row["spec"]["search"].items() if name not in FORMER_SEARCH}
        if row["id"] in rungs:
            search["rungs"] = len(rungs[row["id"]])
        error = NO_REPORT if row["state"] == "completed" else row["error"]
        jobs[at] = row | {"error": error, "spec": {**row["spec"], "search": search}}
    trials = {
        at: row | {"cohort": 0, "control": row["control"] if row["control"] in ROLES else None}
        for at, row in rows["tuner_trials"].items()
    }
    return {**rows, "tuner_jobs": jobs, "tuner_trials": trials, "tuner_reports": {}}


def lengths_of(rows: Rows, job: str) -> set[int]:
    return {row["total_steps"] for row in rows["tuner_runs"].values() if row["job_id"] == job}


WORDS = {
    "plateau": "equivalents",
    "losses": "values",
    "loss": "value",
    "val_loss": "value",
    "search_loss": "search_value",
    "best_search_loss": "best_search_value",
    "cannot be told apart": "statistical tie",
}


def in_todays_words(stored: Any) -> Any:
    if isinstance(stored, list):
        return [in_todays_words(one) for one in stored]
    if isinstance(stored, dict):
        return {WORDS.get(key, key): one if key == "options" else in_todays_words(one) for key, one in stored.items()}
    return WORDS.get(stored, stored) if isinstance(stored, str) else stored


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


def test_going_back_brings_back_what_was_there_but_reports_and_cohorts(released_url: str) -> None:
    before = as_before(all_rows(released_url))
    upgrade(released_url)
    with engine_of(released_url) as engine:
        run(engine, "downgrade", "0001")
    after = all_rows(released_url)
    assert without(after, "tuner_workers", "tuner_jobs") == without(before, "tuner_workers", "tuner_jobs")
    for key, job in before["tuner_jobs"].items():
        number = AS_NUMBER[CLASSES[job["priority"]]]
        assert after["tuner_jobs"][key] == {**job, "priority": number, "spec": {**job["spec"], "priority": number}}
    upgrade(released_url)
    assert is_current(released_url)


def test_going_back_drops_what_was_shared_and_keeps_the_rest(released_url: str) -> None:
    with engine_of(released_url) as engine:
        run(engine, "upgrade", "0002")
    before = as_before(all_rows(released_url))
    upgrade(released_url)
    with engine_of(released_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("UPDATE tuner_jobs SET updates_saved = 30"))
            connection.execute(text("UPDATE tuner_runs SET shared_updates = 30, prefix_key = 'abc'"))
        run(engine, "downgrade", "0002")
    assert without(all_rows(released_url), VERSION_TABLE) == without(before, VERSION_TABLE)
    upgrade(released_url)
    assert is_current(released_url)


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


def test_going_back_leaves_searches_that_the_earlier_release_can_read(released_url: str) -> None:
    upgrade(released_url)
    searches = [
        {"total_steps": 900, "budget": 3.0, "seeds": 5, "worth": 0.1, "prune": False, "trials": None},
        {"total_steps": 6_000, "incumbent": None, "trials": 7},
        {"total_steps": 100_000},
        {"total_steps": 900, "seed": 4},
    ]
    for search in searches:
        SearchSettings.model_validate(search)
    rows = all_rows(released_url)
    jobs = {row["seq"]: row["id"] for row in rows["tuner_jobs"].values()}
    with engine_of(released_url) as engine:
        with engine.begin() as connection:
            for seq, search in enumerate(searches, start=1):
                connection.execute(
                    text("UPDATE tuner_jobs SET spec = :spec WHERE seq = :seq"),
                    {"spec": json.dumps({"workload": "digits-mlp", "search": search}), "seq": seq},
                )
        run(engine, "downgrade", "0005")
    expected = [
        {"total_steps": 900, "trials": 16},
        {"total_steps": 6_000, "trials": 7},
        {"total_steps": 100_000},
        {"total_steps": 900, "seed": 4},
    ]
    for seq, search in enumerate(expected, start=1):
        if lengths := lengths_of(rows, jobs[seq]):
            search["rungs"] = len(lengths)
    back = all_rows(released_url)
    assert [job["spec"]["search"] for _, job in sorted(back["tuner_jobs"].items())] == expected


def test_going_back_drops_forecasts_and_counts_stopped_runs_as_diverged(released_url: str) -> None:
    upgrade(released_url)
    rows = all_rows(released_url)
    at, chosen = next((at, row) for at, row in rows["tuner_runs"].items() if row["state"] == "queued")
    figures = "mean, std, low, high, chance, leader_mean, leader_std, margin"
    with engine_of(released_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("UPDATE tuner_runs SET state = 'stopped' WHERE id = :id"), {"id": chosen["id"]})
            connection.execute(
                text(
                    f"INSERT INTO tuner_forecasts (run_id, step, {figures}, stop, audited) "
                    "VALUES (:id, 5, 1, 1, 1, 1, 1, 1, 1, 1, true, false)"
                ),
                {"id": chosen["id"]},
            )
        run(engine, "downgrade", "0005")
    back = all_rows(released_url)
    assert back["tuner_runs"][at]["state"] == "diverged"
    assert "tuner_forecasts" not in back
    upgrade(released_url)
    assert all_rows(released_url)["tuner_forecasts"] == {}


def test_runs_come_back_as_rungs_by_their_length_and_further_ones_as_confirmations(released_url: str) -> None:
    with engine_of(released_url) as engine:
        run(engine, "upgrade", "0005")
    before = all_rows(released_url)["tuner_runs"]
    assert {row["kind"] for row in before.values()} == {"rung", "confirm"}
    upgrade(released_url)
    with engine_of(released_url) as engine:
        run(engine, "downgrade", "0005")
    assert all_rows(released_url)["tuner_runs"] == before


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


def test_going_back_to_the_third_revision_drops_searched_options_and_longer_runs_and_keeps_the_rest(
    released_url: str,
) -> None:
    with engine_of(released_url) as engine:
        run(engine, "upgrade", "0003")
    before = as_before(all_rows(released_url))
    upgrade(released_url)
    ranges = {"dropout": {"kind": "float", "low": 0.0, "high": 0.5}}
    asked = job_named(before, "half done")
    with engine_of(released_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("UPDATE tuner_trials SET options = :options"), {"options": '{"dropout": 0.25}'})
            spec = {**asked["spec"], "longer": 8.0, "search": {**asked["spec"]["search"], "options": ranges}}
            del spec["search"]["rungs"]
            connection.execute(
                text("UPDATE tuner_jobs SET spec = :spec WHERE seq = :seq"),
                {"spec": json.dumps(spec), "seq": asked["seq"]},
            )
        run(engine, "downgrade", "0003")
    assert without(all_rows(released_url), VERSION_TABLE) == without(before, VERSION_TABLE)
    upgrade(released_url)
    assert {tuple(row["options"]) for row in all_rows(released_url)["tuner_trials"].values()} == {()}
    assert is_current(released_url)


def test_going_back_waits_for_open_jobs_whose_trials_optuna_was_not_told_of(released_url: str) -> None:
    upgrade(released_url)
    open_job = job_named(all_rows(released_url), "half done")
    with engine_of(released_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("UPDATE tuner_trials SET optuna_number = NULL WHERE number = 0"))
        before = all_rows(released_url)
        with pytest.raises(
            RuntimeError, match=f"let these jobs end, or cancel them, before going back: {open_job['id']}"
        ):
            run(engine, "downgrade", "0003")
        assert all_rows(released_url) == before
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE tuner_jobs SET state = 'cancelled' WHERE seq = :seq"), {"seq": open_job["seq"]}
            )
        run(engine, "downgrade", "0003")
    trials = all_rows(released_url)["tuner_trials"].values()
    assert {trial["optuna_number"] for trial in trials if trial["number"] == 0} == {-1}


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


def test_going_back_waits_for_jobs_whose_metric_is_maximized_to_be_deleted(released_url: str) -> None:
    upgrade(released_url)
    metric = Metric(name="accuracy", direction="maximize").model_dump_json()
    with engine_of(released_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("UPDATE tuner_jobs SET metric = :metric WHERE seq = 1"), {"metric": metric})
        before = all_rows(released_url)
        with pytest.raises(RuntimeError, match="delete these jobs, whose metric is maximized, before going back"):
            run(engine, "downgrade", "0004")
    assert all_rows(released_url) == before


@pytest.mark.parametrize(("started", "state"), [("NULL", "queued"), ("1.0", "running")])
def test_going_back_leaves_no_state_that_the_earlier_release_does_not_know(
    released_url: str, started: str, state: str
) -> None:
    upgrade(released_url)
    with engine_of(released_url) as engine:
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE tuner_jobs SET state = 'paused', started_at = {started}"))
        run(engine, "downgrade", "0001")
    assert {job["state"] for job in all_rows(released_url)["tuner_jobs"].values()} == {state}


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
