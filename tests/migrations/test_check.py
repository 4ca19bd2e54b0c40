"""``check`` says nothing about what is sound, and names what is not."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import text

from tests.integration.store.builders import announce, spec
from tests.migrations.revisions import engine_of
from tuner.store import Store
from tuner.store.maintenance.check import check
from tuner.store.maintenance.migrate import upgrade


@pytest.fixture
def current_url(released_url: str) -> str:
    upgrade(released_url)
    return released_url


def names(url: str) -> set[str]:
    return {finding.name for finding in check(url)}


def break_it(url: str, statement: str) -> None:
    with engine_of(url) as engine, engine.begin() as connection:
        connection.execute(text(statement))


on_sqlite = pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
KNOWN = {"study"}
"""The job that the fixture left half done was made by hand, without a study."""


def test_a_fresh_database_is_sound(empty_url: str) -> None:
    upgrade(empty_url)
    with closing(Store.open(empty_url)) as store:
        announce(store, "w1")
        store.jobs.submit(spec())
    assert check(empty_url) == ()


def test_what_an_earlier_release_left_is_sound_but_for_what_is_known_of_it(current_url: str) -> None:
    assert names(current_url) == KNOWN


def test_a_schema_that_is_not_current_is_all_that_is_said(released_url: str) -> None:
    (finding,) = check(released_url)
    assert (finding.name, "tuner db upgrade" in finding.message) == ("schema", True)


BROKEN = {
    "work-of-ended-job": "UPDATE tuner_jobs SET state = 'failed', finished_at = 2.0 WHERE name = 'half done'",
    "trial-of-ended-job": "UPDATE tuner_trials SET state = 'active'",
    "stuck-job": "UPDATE tuner_jobs SET state = 'running', plan_due = false WHERE name = 'can wait'",
    "end-without-time": "UPDATE tuner_jobs SET finished_at = NULL",
    "run-end-without-time": "UPDATE tuner_runs SET finished_at = NULL",
    "report": "UPDATE tuner_jobs SET error = NULL WHERE state = 'completed'",
    "stop": "UPDATE tuner_runs SET state = 'stopped', loss = NULL WHERE state = 'succeeded'",
    "trial-of-run": "UPDATE tuner_runs SET trial_number = trial_number + 1",
    "lease": "UPDATE tuner_runs SET worker = NULL",
    "step": "UPDATE tuner_runs SET step = total_steps + 1 WHERE state = 'leased'",
    "spent": "UPDATE tuner_runs SET updates = -1 WHERE state = 'leased'",
    "study": "DELETE FROM tuner_trials WHERE 1 = 0",
    "spec": "UPDATE tuner_jobs SET priority = 1, name = 'renamed' WHERE name = 'can wait'",
    "unknown-value": "UPDATE tuner_jobs SET state = 'dreaming' WHERE name = 'can wait'",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(current_url: str, name: str) -> None:
    break_it(current_url, BROKEN[name])
    assert name in names(current_url)


def test_a_finding_counts_and_gives_examples(current_url: str) -> None:
    break_it(current_url, "UPDATE tuner_runs SET updates = -1")
    (finding,) = (finding for finding in check(current_url) if finding.name == "spent")
    assert finding.count == 16
    assert len(finding.examples) == 5
    assert all(len(example) == 36 for example in finding.examples)


@on_sqlite  # PostgreSQL does not let it happen
def test_rows_without_what_they_refer_to_are_counted(current_url: str) -> None:
    break_it(current_url, "DELETE FROM tuner_trials")  # on a connection that checks no foreign keys
    (finding,) = (finding for finding in check(current_url) if finding.name == "orphan")
    assert (finding.count, finding.message) == (
        16,
        "rows of tuner_runs refer to rows of tuner_trials which are not there",
    )


@on_sqlite
def test_a_damaged_file_is_named(current_url: str) -> None:
    with engine_of(current_url) as engine, engine.connect() as connection:
        raw = connection.connection.driver_connection
        raw.execute("PRAGMA writable_schema=ON")
        raw.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT max(rootpage) FROM sqlite_master) + 9000 "
            "WHERE name = 'ix_tuner_runs_job_id_seq'"
        )
    (finding,) = check(current_url)
    assert (finding.name, "tuner db restore" in finding.message) == ("damaged", True)
