"""Transactions, connections and what happens when the database is not there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from tests.integration.store.builders import OFFER, STEPS, Bench, announce, point, spec
from tuner.errors import DatabaseUnavailable, InvalidValue
from tuner.jobs.admission.change import JobChange
from tuner.store import Store
from tuner.store.db import database
from tuner.store.db.database import Database, Tx
from tuner.store.optuna.storage import open_backend

Sql = Callable[..., list[Any]]


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a locked file a moment only."""
    monkeypatch.setattr("tuner.store.db.engine.BUSY_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(database, "RETRY_PAUSES_SECONDS", (0.01, 0.01))


class TestSqlite:
    def test_it_runs_in_wal_mode_with_foreign_keys(self, sqlite_url: str) -> None:
        with closing(Store(sqlite_url)) as store:
            settings = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            read = store._database.read
            values = [read(lambda session, s=s: session.scalar(text(f"PRAGMA {s}"))) for s in settings]  # type: ignore[misc]
        assert values == ["wal", 1, 1, 30_000]

    def test_a_writer_takes_the_lock_before_it_reads(self, sqlite_url: str, impatient: None) -> None:
        with closing(Database(sqlite_url)) as first, closing(Database(sqlite_url)) as second:

            def while_writing(tx: Tx) -> None:
                tx.session.scalar(text("SELECT count(*) FROM tuner_jobs"))
                with pytest.raises(DatabaseUnavailable, match="database is locked"):
                    second.write(lambda tx: tx.now)
                assert second.read(lambda session: session.scalar(text("SELECT count(*) FROM tuner_jobs"))) == 0

            first.write(while_writing)

    def test_a_lock_that_goes_away_in_time_is_not_noticed(
        self, sqlite_url: str, impatient: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        blocker = sqlite3.connect(file_of(sqlite_url), isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("time.sleep", lambda seconds: blocker.rollback())
        with closing(Store(sqlite_url)) as store:
            announce(store, "w1", device="cpu", workloads=[OFFER])
            assert store.workers.workloads() == (OFFER,)
        blocker.close()

    def test_a_locked_file_is_told_as_such_and_nothing_is_written(self, sqlite_url: str, impatient: None) -> None:
        with closing(Store(sqlite_url)) as store, closing(sqlite3.connect(file_of(sqlite_url))) as blocker:
            blocker.isolation_level = None
            blocker.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseUnavailable, match="another process writes to the database: database is locked"):
                announce(store, "w1", device="cpu", workloads=[OFFER])
            blocker.rollback()
            assert store.workers.workloads() == ()

    def test_a_file_that_is_no_database_is_told_as_such(self, tmp_path: Path) -> None:
        file = tmp_path / "tuner.db"
        file.write_text("this is a letter to my aunt, and long enough for a header of SQLite's" * 10)
        with pytest.raises(InvalidValue, match="a database of Schedule Tuner"):
            Store.open(f"sqlite:///{file}")


class TestTransaction:
    def test_what_fails_in_the_middle_leaves_nothing(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        told = bench.kinds(job.id)

        def half(tx: Tx) -> None:
            tx.session.execute(text("UPDATE tuner_jobs SET priority = 9"))
            tx.emit("job.started", job_id=job.id)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store._database.write(half)
        assert bench.kinds(job.id) == told
        assert store.jobs.get(job.id) == job

    def test_a_failure_that_passes_is_tried_again_from_the_start(self, store: Store, impatient: None) -> None:
        tries = 0

        def deadlock(tx: Tx) -> int:
            nonlocal tries
            tries += 1
            tx.session.execute(text("UPDATE tuner_workers SET device = device || '!'"))
            if tries < 3:
                raise OperationalError("UPDATE", {}, Deadlock())
            return tries

        assert store._database.write(deadlock) == 3
        assert store.workers.workers()[0].device == "cpu!"

    def test_a_failure_that_does_not_pass_is_given_up(self, store: Store, impatient: None) -> None:
        def deadlock(tx: Tx) -> None:
            raise OperationalError("UPDATE", {}, Deadlock())

        with pytest.raises(DatabaseUnavailable, match="deadlock detected"):
            store._database.write(deadlock)

    def test_a_mistake_of_ours_is_not_told_as_an_outage(self, store: Store) -> None:
        with pytest.raises(RuntimeError, match="refused a statement"):
            store._database.write(lambda tx: tx.session.execute(text("SELECT nonsense FROM tuner_jobs")))

    def test_a_commit_that_fails_is_not_tried_again(self, store: Store) -> None:
        tries = 0

        def write(tx: Tx) -> None:
            nonlocal tries
            tries += 1
            tx.session.execute(text("UPDATE tuner_workers SET device = 'gpu'"))

            @event.listens_for(tx.session, "before_commit")
            def cut(session: object) -> None:
                raise OperationalError("COMMIT", {}, Deadlock())

        with pytest.raises(DatabaseUnavailable):
            store._database.write(write)
        assert tries == 1
        assert store.workers.workers()[0].device == "cpu"

    def test_a_reader_sees_one_moment(self, bench: Bench, store: Store, sql: Sql) -> None:
        bench.running_job()
        count = text("SELECT count(*) FROM tuner_events")

        def read_twice(session: Any) -> tuple[int, int]:
            first = session.scalar(count)
            sql("DELETE FROM tuner_events")
            return first, session.scalar(count)

        first, second = store._database.read(read_twice)
        assert first == second > 0

    def test_the_clock_is_the_databases_and_stands_still_in_a_transaction(self, store: Store) -> None:
        def look(tx: Tx) -> tuple[float, float]:
            return tx.now, tx.now

        before = store.now()
        first, second = store._database.write(look)
        assert before <= first == second <= store.now()


class Deadlock(Exception):
    sqlstate = "40P01"

    def __str__(self) -> str:
        return "deadlock detected"


def test_a_server_that_is_not_there_is_told_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(database, "RETRY_PAUSES_SECONDS", ())
    url = f"postgresql://nobody@/none?host={tmp_path}"
    with pytest.raises(DatabaseUnavailable, match="the database does not answer"):
        Store.open(url)
    with closing(Store(url)) as store, pytest.raises(DatabaseUnavailable, match="the database does not answer"):
        store.jobs.list()


@pytest.mark.pg
def test_a_connection_that_was_cut_while_idle_is_replaced(postgresql_database: str) -> None:
    with closing(Store(postgresql_database)) as store, closing(Store(postgresql_database)) as other:
        store.now()
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        other._database.write(
            lambda tx: tx.session.execute(
                text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            )
        )
        assert store.now() > 0


@pytest.mark.pg
def test_a_transaction_of_a_process_that_was_stopped_for_long_is_made_again(postgresql_database: str) -> None:
    with closing(Store(postgresql_database)) as store, closing(Store(postgresql_database)) as other:
        tries = 0

        def write(tx: Tx) -> int:
            nonlocal tries
            tries += 1
            pid = tx.session.scalar(text("SELECT pg_backend_pid()"))
            if tries == 1:  # the server ends the session meanwhile, as it does when the process is stopped
                tx.session.execute(text("SET idle_in_transaction_session_timeout = 1"))
                here = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
                while other._database.read(lambda session: session.scalar(here, {"pid": pid})):
                    pass
            return int(tx.session.scalar(text("SELECT 7")) or 0)

        assert store._database.write(write) == 7
        assert tries == 2


class TestOptuna:
    def test_a_study_is_kept_beside_ours(self, bench: Bench, store: Store) -> None:
        job = bench.running_job()
        study = optuna.create_study(study_name=job.id, storage=store.optuna_storage())
        trial = study.ask()
        trial.report(0.5, step=STEPS)
        study.tell(trial, 0.5)
        store.leases.heartbeat(bench.claim(), points=[point(30)], lease_seconds=60.0)
        again = optuna.load_study(study_name=job.id, storage=store.optuna_storage())
        assert [t.intermediate_values for t in again.trials] == [{STEPS: 0.5}]
        assert store.optuna_storage() is store.optuna_storage()

    def test_another_process_sees_it(self, url: str, store: Store) -> None:
        optuna.create_study(study_name=store.jobs.submit(spec()).id, storage=store.optuna_storage()).ask()
        other = open_backend(url)
        (study,) = [s for s in other.get_all_studies() if s.study_name == store.jobs.list().items[0].id]
        assert other.get_n_trials(study._study_id) == 1
        other.engine.dispose()

    def test_a_path_with_braces_and_percents_is_no_template(self, tmp_path: Path) -> None:
        folder = tmp_path / "{0} 100% {name}"
        folder.mkdir()
        with closing(Store.open(f"sqlite:///{folder}/tuner.db")) as store:
            assert optuna.create_study(storage=store.optuna_storage()).trials == []
        assert (folder / "tuner.db").exists()


def test_a_row_that_another_transaction_holds_is_waited_for_as_long_as_the_store_may(postgresql_database: str) -> None:
    with closing(Store(postgresql_database, patience=0.05)) as store, closing(Store(postgresql_database)) as other:
        announce(store, "w1", device="cpu", workloads=[OFFER])
        job = store.jobs.submit(spec())
        locked = text("SELECT id FROM tuner_jobs FOR UPDATE")

        def while_locked(tx: Tx) -> None:
            tx.session.execute(locked)
            with pytest.raises(DatabaseUnavailable, match="lock timeout"):
                store.jobs.change(job.id, JobChange(name="other"))
            assert store.jobs.submission_errors(job.spec) == ()

        other._database.write(while_locked)
        assert store.jobs.change(job.id, JobChange(name="other")).spec.name == "other"
        limit = store._database.read(lambda session: session.scalar(text("SHOW lock_timeout")))
        assert limit == "10s"  # the connections of the pool have their own again
