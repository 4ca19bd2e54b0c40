"""The revisions: one line of them, the same tables as the models, up and down, beside Optuna's."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from alembic.autogenerate import compare_metadata, produce_migrations
from alembic.migration import MigrationContext
from alembic.operations.ops import DropTableOp
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

import tuner_migrations
from tests.migrations.revisions import engine_of, run
from tuner.errors import InvalidValue, SchemaMismatch
from tuner.store import Store
from tuner.store.db.models import PREFIX, Base
from tuner.store.maintenance.migrate import VERSION_TABLE, alembic_config, is_current, is_ours, upgrade
from tuner.store.optuna.storage import open_backend

REVISIONS = Path(str(tuner_migrations.__file__)).parent / "versions"


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    with engine_of(empty_url) as engine:
        yield engine


def our_tables(engine: Engine) -> set[str]:
    return {name for name in inspect(engine).get_table_names() if name.startswith(PREFIX)}


def context(connection: Connection, *, filtered: bool = True) -> MigrationContext:
    options: dict[str, Any] = {"version_table": VERSION_TABLE, "target_metadata": Base.metadata}
    return MigrationContext.configure(connection, opts=options | ({"include_name": is_ours} if filtered else {}))


def test_there_is_one_head_and_one_base() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_every_revision_is_listed_in_the_readme() -> None:
    readme = (REVISIONS.parents[1] / "README.md").read_text()
    for revision in ScriptDirectory.from_config(alembic_config()).walk_revisions():
        assert f"`{revision.revision}`" in readme


@pytest.mark.parametrize("file", sorted(REVISIONS.glob("*.py")), ids=lambda file: file.stem)
def test_a_revision_imports_nothing_of_ours(file: Path) -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(file.read_text()))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        + ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
    }
    assert imported <= {"__future__", "alembic", "sqlalchemy", "typing"}


def test_the_revisions_make_the_tables_of_the_models(engine: Engine) -> None:
    run(engine, "upgrade", "head")
    with engine.connect() as connection:
        assert compare_metadata(context(connection), Base.metadata) == []


def test_checks_and_their_names_agree_with_the_models(engine: Engine) -> None:
    run(engine, "upgrade", "head")
    migrated = _checks(engine)
    run(engine, "downgrade", "base")
    Base.metadata.create_all(engine)
    assert migrated == _checks(engine)
    assert all(name.startswith("ck_tuner_") for _, name, _ in migrated)


def _checks(engine: Engine) -> set[tuple[str, str | None, str]]:
    inspector = inspect(engine)
    return {
        (table.name, check["name"], check["sqltext"])
        for table in Base.metadata.sorted_tables
        for check in inspector.get_check_constraints(table.name)
    }


def test_up_down_up_comes_out_the_same(engine: Engine) -> None:
    run(engine, "upgrade", "head")
    first = our_tables(engine)
    assert first == {*Base.metadata.tables, VERSION_TABLE}
    run(engine, "downgrade", "base")
    assert our_tables(engine) == {VERSION_TABLE}
    run(engine, "upgrade", "head")
    assert our_tables(engine) == first
    with engine.connect() as connection:
        assert compare_metadata(context(connection), Base.metadata) == []


def test_a_revision_that_fails_leaves_nothing_behind(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE tuner_snapshots (in_the_way INTEGER)"))  # the last one to be made
    with pytest.raises(Exception, match="already exists"):
        run(engine, "upgrade", "head")
    assert our_tables(engine) == {"tuner_snapshots"}


def test_upgrading_an_empty_database_makes_it_current(empty_url: str) -> None:
    assert not is_current(empty_url)
    upgrade(empty_url)
    assert is_current(empty_url)
    upgrade(empty_url)
    assert is_current(empty_url)


def test_optunas_tables_live_beside_ours_and_nobody_drops_them(empty_url: str, engine: Engine) -> None:
    upgrade(empty_url)
    assert {"studies", "trials", "alembic_version"} <= set(inspect(engine).get_table_names())
    with engine.connect() as connection:
        assert compare_metadata(context(connection), Base.metadata) == []
        unfiltered = produce_migrations(context(connection, filtered=False), Base.metadata)
        assert unfiltered.upgrade_ops is not None
        drops = [op for op in unfiltered.upgrade_ops.ops if isinstance(op, DropTableOp)]
        assert len(drops) == 13, "without the filter, Alembic would drop them"


def test_going_down_leaves_optunas_studies_alone(empty_url: str, engine: Engine) -> None:
    upgrade(empty_url)
    backend = open_backend(empty_url)
    optuna.create_study(study_name="a", storage=backend)
    run(engine, "downgrade", "base")
    assert optuna.load_study(study_name="a", storage=backend).study_name == "a"
    backend.engine.dispose()
    upgrade(empty_url)
    assert is_current(empty_url)


def test_optunas_tables_are_made_when_only_they_are_missing(empty_url: str, engine: Engine) -> None:
    run(engine, "upgrade", "head")
    assert not is_current(empty_url)
    upgrade(empty_url)
    assert is_current(empty_url)


def test_two_processes_that_upgrade_at_once_both_succeed(empty_url: str) -> None:
    program = f"from tuner.store.maintenance.migrate import upgrade; upgrade({empty_url!r})"
    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert is_current(empty_url)


def test_a_database_of_a_newer_version_is_refused_with_what_to_do(empty_url: str, engine: Engine) -> None:
    upgrade(empty_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="newer version of Schedule Tuner"):
        upgrade(empty_url)
    with pytest.raises(SchemaMismatch, match="Run `tuner db upgrade`"):
        Store.open(empty_url, migrate=False)


def test_a_database_without_tables_is_refused_unless_it_may_be_migrated(empty_url: str) -> None:
    with pytest.raises(SchemaMismatch, match="Run `tuner db upgrade`"):
        Store.open(empty_url, migrate=False)
    with closing(Store.open(empty_url, migrate=True)) as store:
        assert store.jobs.list().items == ()


def test_only_sqlite_is_migrated_without_asking(empty_url: str) -> None:
    if empty_url.startswith("sqlite"):
        Store.open(empty_url).close()
    else:
        with pytest.raises(SchemaMismatch):
            Store.open(empty_url)


def test_asking_whether_a_file_is_current_does_not_make_it(tmp_path: Path) -> None:
    assert not is_current(f"sqlite:///{tmp_path / 'none.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="a file in a folder that exists"):
        upgrade(f"sqlite:///{tmp_path / 'nowhere' / 'tuner.db'}")


def test_upgrading_leaves_the_programs_logging_alone(tmp_path: Path) -> None:
    root, mine = logging.getLogger(), logging.getLogger("somebody.else")
    before = (root.level, list(root.handlers), mine.disabled, mine.level)
    upgrade(f"sqlite:///{tmp_path / 'tuner.db'}")
    assert (root.level, list(root.handlers), mine.disabled, mine.level) == before


def test_a_new_file_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path / 'tuner.db'}")) as store:
        store.people.put_user("ada")
        assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
            "tuner.db": 0o600,
            "tuner.db-shm": 0o600,
            "tuner.db-wal": 0o600,
        }
