"""The database's clock. Leases are compared with it alone, so the machines' clocks need not agree."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Double, SQLColumnExpression
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class Now(FunctionElement[float]):
    """Seconds since 1970 UTC, by the database's clock, when the statement began."""

    name = "tuner_now"
    type = Double()
    inherit_cache = True


@compiles(Now, "sqlite")
def _now_on_sqlite(element: Now, compiler: SQLCompiler, **kw: Any) -> str:
    # unixepoch('subsec') needs SQLite 3.42; 2440587.5 is the Julian day of 1970-01-01. Good to a millisecond.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(Now, "postgresql")
def _now_on_postgresql(element: Now, compiler: SQLCompiler, **kw: Any) -> str:
    # Not now(): that is the start of the transaction, which may have waited for a lock since.
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) AS DOUBLE PRECISION)"


def expired(expires_at: SQLColumnExpression[Any], *, now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """Whether a lease or a lock has expired: at exactly ``expires_at`` it still holds; NULL never expires."""
    return expires_at < now
