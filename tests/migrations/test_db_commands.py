"""``tuner db`` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from tests.migrations.revisions import engine_of
from tuner.cli.main import app
from tuner.store.maintenance.migrate import is_current

# What PostgreSQL does is held by the functions' own tests.
on_sqlite = pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)


def tuner_db(*arguments: str | Path, url: str):
    return CliRunner().invoke(app, ["db", *map(str, arguments), "--database-url", url])


@on_sqlite
def test_a_database_is_upgraded_backed_up_checked_and_brought_back(released_url: str, tmp_path: Path) -> None:
    backup = tmp_path / "before.db"
    assert tuner_db("backup", backup, url=released_url).exit_code == 0
    assert tuner_db("upgrade", url=released_url).exit_code == 0
    assert is_current(released_url)
    refused = tuner_db("restore", backup, url=released_url)
    assert (refused.exit_code, "--replace" in refused.stderr) == (2, True)
    restored = tuner_db("restore", backup, "--replace", url=released_url)
    assert restored.exit_code == 0
    assert "run `tuner db upgrade`" in restored.stderr
    assert not is_current(released_url)


def test_a_sound_database_is_said_to_be(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    assert tuner_db("upgrade", url=url).exit_code == 0
    done = tuner_db("check", url=url)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "The database is sound.\n")


@on_sqlite
def test_what_is_found_is_printed_and_is_the_exit_code(released_url: str) -> None:
    tuner_db("upgrade", url=released_url)
    with engine_of(released_url) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE tuner_runs SET updates = -1"))
    done = tuner_db("check", url=released_url)
    assert done.exit_code == 1
    assert "spent: 16 x " in done.stdout
    as_json = tuner_db("check", "--json", url=released_url)
    assert as_json.exit_code == 1
    assert {finding["name"] for finding in json.loads(as_json.stdout)} == {"spent", "study"}


def test_in_a_data_folder_no_url_is_needed(tmp_path: Path) -> None:
    for command in (["upgrade"], ["backup", str(tmp_path / "copy.db")], ["check"]):
        assert CliRunner().invoke(app, ["db", *command, "--data-dir", str(tmp_path / "data")]).exit_code == 0
    assert (tmp_path / "copy.db").exists()


def test_a_database_that_is_away_is_no_mistake_of_the_command_line() -> None:
    assert tuner_db("check", url="postgresql://nobody@127.0.0.1:9/none").exit_code == 3
