"""The database's clock. Leases are compared with it alone, so the machines' clocks need not agree.

SQLite has no clock but that of the process that asks, which may have been wrong, or set back since. So no stored time
is trusted that lies further ahead than it can: a lease that ends later than any lease may last is void, and a sign of
life from the future is none.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Double, SQLColumnExpression, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from tuner.jobs.attempts import MAX_LEASE_SECONDS

CLOCK_STEP_SECONDS = 60.0
"""By how much the clock may be set back before what was stored until then counts as written in the future."""


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


def expired(
    expires_at: SQLColumnExpression[Any], *, now: float | ColumnElement[float], longest: float = MAX_LEASE_SECONDS
) -> ColumnElement[bool]:
    """Whether a lease or a lock has expired, or ends later than any may: at exactly ``expires_at`` it still holds.

    Args:
        expires_at: When it ends; NULL never expires.
        now: By the database's clock.
        longest: Seconds that one may last.
    """
    return or_(expires_at < now, expires_at > now + (longest + CLOCK_STEP_SECONDS))


def in_future(at: SQLColumnExpression[Any], *, now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """Whether a stored time lies ahead of the clock, so that the clock which it was taken from was wrong."""
    return at > now + CLOCK_STEP_SECONDS


def happened_within(seconds: float, at: float, *, now: float) -> bool:
    """Whether a stored time is past, and by so many seconds at most."""
    return now - seconds <= at <= now + CLOCK_STEP_SECONDS
