"""Writers of one SQLite file: each waits for the others, and none longer than its turn."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import text

from tuner.store.db.engine import BUSY_PAUSE_SECONDS, WRITES, connect, parse_url


def test_a_writer_that_has_waited_long_tries_as_often_as_one_that_has_just_come(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 200:
            holder.execute("COMMIT")

    monkeypatch.setattr("tuner.store.db.engine.time.sleep", pause)
    engine = connect(parse_url(sqlite_url)).execution_options(**{WRITES: True})
    with closing(holder), engine.begin() as connection:
        connection.execute(text("INSERT INTO tuner_accounts (team, owner) VALUES ('a', 'b')"))
    engine.dispose()
    least, most = BUSY_PAUSE_SECONDS
    assert len(pauses) == 200
    assert all(least <= pause <= most for pause in pauses)
