"""A database goes back to an earlier revision: what that one knows is kept, and it says what has to end before."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from tests.migrations.released_rows import (
    AS_NUMBER,
    CLASSES,
    as_before,
    job_named,
    lengths_of,
    without,
)
from tests.migrations.revisions import all_rows, engine_of, run
from tuner.metric import Metric
from tuner.search.settings import SearchSettings
from tuner.store.maintenance.migrate import VERSION_TABLE, is_current, upgrade


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
