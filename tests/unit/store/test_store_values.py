"""What the store decides without a database: URLs, the boundary of a lease, values at its border."""

from __future__ import annotations

import math
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Integer, cast, create_engine, func, literal, select
from sqlalchemy.dialects import postgresql

from tuner.errors import InvalidValue
from tuner.store.db.clock import Now, expired
from tuner.store.db.engine import parse_url
from tuner.store.db.rows import MAX_TEXT, as_json, clipped_text, finite_or_none


class TestUrl:
    @pytest.mark.parametrize(
        ("given", "driver"),
        [
            ("sqlite:///tuner.db", "sqlite"),
            ("sqlite+pysqlite:////data/tuner.db", "sqlite"),
            ("postgresql://u:p@host/db", "postgresql+psycopg"),
            ("postgresql+psycopg://u:p@host:5433/db?sslmode=require", "postgresql+psycopg"),
            ("postgres://u:p@host/db", "postgresql+psycopg"),
        ],
    )
    def test_the_driver_is_settled(self, given: str, driver: str) -> None:
        assert parse_url(given).drivername == driver

    @pytest.mark.parametrize("given", ["", "tuner.db", "mysql://u@host/db", "http://host", "sqlite"])
    def test_what_is_no_url_of_ours_is_refused_with_the_forms_that_are(self, given: str) -> None:
        with pytest.raises(InvalidValue, match=r"database_url must be sqlite:///path/to/file\.db or postgresql://"):
            parse_url(given)

    @pytest.mark.parametrize("given", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
    def test_a_database_in_memory_is_refused(self, given: str) -> None:
        with pytest.raises(InvalidValue, match="a SQLite file"):
            parse_url(given)

    @pytest.mark.parametrize("given", ["mysql://user:secret@host/db", "postgresql:/user:secret@host:port/db"])
    def test_a_refusal_does_not_show_the_password(self, given: str) -> None:
        with pytest.raises(InvalidValue) as refused:
            parse_url(given)
        assert "secret" not in str(refused.value)


class TestClock:
    @pytest.mark.parametrize(
        ("expires_at", "over"),
        [(99.0, True), (math.nextafter(100.0, 0.0), True), (100.0, False), (math.nextafter(100.0, 200.0), False)],
    )
    def test_at_exactly_its_time_a_lease_still_holds(self, expires_at: float, over: bool) -> None:
        engine = create_engine("sqlite://")
        with engine.connect() as connection:
            assert bool(connection.scalar(select(expired(literal(expires_at), now=100.0)))) is over
        engine.dispose()

    def test_sqlite_tells_seconds_since_1970(self) -> None:
        engine = create_engine("sqlite://")
        with engine.connect() as connection:
            whole = cast(func.strftime("%s", "now"), Integer)
            ours, theirs = connection.execute(select(Now(), whole)).one()
        engine.dispose()
        assert abs(ours - theirs) <= 1.0

    def test_postgresql_asks_for_the_time_of_the_statement(self) -> None:
        compiled = str(select(Now()).compile(dialect=postgresql.dialect()))
        assert "statement_timestamp()" in compiled


class TestBorder:
    @given(st.text())
    def test_any_text_can_be_stored(self, text: str) -> None:
        clean = clipped_text(text)
        clean.encode("utf-8")
        assert "\0" not in clean
        if text.isascii() and "\0" not in text:
            assert clean == text

    @given(st.integers(0, 1000))
    def test_a_long_text_keeps_both_ends(self, more: int) -> None:
        clean = clipped_text("first" + "x" * (MAX_TEXT + more) + "last")
        assert clean.startswith("first")
        assert clean.endswith("last")
        assert len(clean) <= MAX_TEXT + 10

    @given(st.floats())
    def test_only_finite_numbers_are_json(self, number: float) -> None:
        if math.isfinite(number):
            assert as_json({"x": [number]}, field="f") == {"x": [number]}
            assert finite_or_none(number) == number
        else:
            assert finite_or_none(number) is None
            with pytest.raises(InvalidValue, match="f must be JSON with finite numbers"):
                as_json({"x": [number]}, field="f")

    def test_what_json_has_no_word_for_is_refused(self) -> None:
        with pytest.raises(InvalidValue, match="f must be JSON"):
            as_json({"x": object()}, field="f")


def test_this_sqlite_can_do_what_the_store_asks_of_it() -> None:
    assert sqlite3.sqlite_version_info >= (3, 35), "RETURNING and ON CONFLICT are used"
