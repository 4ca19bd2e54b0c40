"""Optuna's own tables come forward with ours."""

from __future__ import annotations

import logging

import optuna
import pytest
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from tests.migrations.revisions import engine_of
from tuner.errors import SchemaMismatch
from tuner.store import Store
from tuner.store.maintenance.migrate import is_current, upgrade
from tuner.store.optuna.storage import head_revision, open_backend


def optuna_revision(url: str) -> str | None:
    with engine_of(url) as engine, engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def go_back(url: str) -> None:
    """As the release of Optuna before the newest revision left its tables, with one study."""
    backend = open_backend(url)
    optuna.create_study(study_name="kept", storage=backend)
    backend.engine.dispose()
    with engine_of(url) as engine, engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_trials_study_id"))
        connection.execute(text("UPDATE alembic_version SET version_num = 'v3.0.0.d'"))


def test_the_tables_of_an_earlier_optuna_are_upgraded_with_their_studies(empty_url: str) -> None:
    upgrade(empty_url)
    assert optuna_revision(empty_url) == head_revision()
    go_back(empty_url)
    assert not is_current(empty_url)
    with pytest.raises(SchemaMismatch, match="Run `tuner db upgrade`"):
        Store.open(empty_url, migrate=False)
    upgrade(empty_url)
    assert is_current(empty_url)
    backend = open_backend(empty_url)
    assert optuna.load_study(study_name="kept", storage=backend).trials == []
    backend.engine.dispose()


def test_the_tables_of_a_newer_optuna_are_refused_with_what_to_do(empty_url: str) -> None:
    upgrade(empty_url)
    with engine_of(empty_url) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'v99'"))
    with pytest.raises(SchemaMismatch, match="a newer Optuna made them"):
        upgrade(empty_url)
    assert not is_current(empty_url)


def test_optunas_upgrade_leaves_the_programs_logging_alone(empty_url: str, monkeypatch) -> None:
    upgrade(empty_url)
    go_back(empty_url)
    root, mine = logging.getLogger(), logging.getLogger("somebody.else")
    monkeypatch.setattr(root, "handlers", [])
    before = (root.level, mine.disabled, mine.level)
    upgrade(empty_url)
    assert (root.level, mine.disabled, mine.level) == before
    assert root.handlers == []
