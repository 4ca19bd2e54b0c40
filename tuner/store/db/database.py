"""Transactions: opened, tried again after a passing failure, committed whole or not at all.

A method of a `Repository` that is marked `reads` or `writes` runs inside one transaction, which it gets as its first
argument and which its caller does not see.
"""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Engine, func, insert, select
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from tuner.errors import DatabaseUnavailable, InvalidValue
from tuner.people.roles import Actor
from tuner.store.db.clock import Now
from tuner.store.db.engine import WRITES, connect, parse_url
from tuner.store.db.models import Audit, Event

PAUSES_SECONDS = (0.05, 0.2, 0.8)
"""Between the tries of a transaction that met a failure which passes."""
_EVENT_LOCK = 0x74756E6572  # any number that nobody else locks; this one reads "tuner"
_PASSING = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03"})
"""PostgreSQL: serialization failure, deadlock, lock not available; shut down, crashed, starting up."""

P = ParamSpec("P")
R = TypeVar("R")
RepositoryT = TypeVar("RepositoryT", bound="Repository")


@dataclass
class Tx:
    """One open transaction that writes."""

    session: Session
    _events: list[dict[str, Any]] = field(default_factory=list)
    _now: float | None = None

    @property
    def now(self) -> float:
        """The database's time when it was first asked for in this transaction."""
        if self._now is None:
            self._now = read_clock(self.session)
        return self._now

    def tell(self, kind: str, *, job_id: str, **data: Any) -> None:
        """Add an event, to be stored with this transaction or not at all."""
        self._events.append({"job_id": job_id, "kind": kind, "data": data, "at": self.now})

    def audit(self, by: Actor, action: str, *, target: str, team: str | None, **data: Any) -> None:
        """Add to the audit log, to be stored with this transaction or not at all.

        Args:
            by: Who does it.
            action: Dotted: ``"job.cancel"``.
            target: Id or name of what it is done to.
            team: The team that it concerns; ``None`` when it concerns the service.
            data: What was changed, as JSON; never a secret.
        """
        self.session.add(
            Audit(
                at=self.now,
                actor=by.user,
                token_id=by.token_id,
                request_id=by.request_id,
                action=action,
                target=target,
                team=team,
                data=data,
            )
        )

    def flush(self) -> None:
        """Send what is not yet sent, the events last."""
        self.session.flush()
        if not self._events:
            return
        if self.session.get_bind().dialect.name == "postgresql":
            # Ids come from a sequence: a slower transaction could commit a smaller id after a greater one was read,
            # and whoever follows the events by id would miss it. Locked after every row, so it cannot deadlock.
            self.session.execute(select(func.pg_advisory_xact_lock(_EVENT_LOCK)))
        self.session.execute(insert(Event), self._events)


def read_clock(session: Session) -> float:
    """Seconds since 1970 UTC by the database's clock."""
    return float(session.execute(select(Now())).scalar_one())


class Database:
    """A pool of connections, safe to use from many threads.

    Args:
        url: See `tuner.store.db.engine.parse_url`.
    """

    def __init__(self, url: str) -> None:
        self._engine = connect(parse_url(url))
        self._writer = self._engine.execution_options(**{WRITES: True})
        self._reader = self._engine
        if self._engine.dialect.name == "postgresql":
            # All statements of a reading transaction see one state of the database, as they do on SQLite.
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()

    def read(self, body: Callable[[Session], R]) -> R:
        """Run ``body`` in one transaction that sees one state of the database.

        Raises:
            DatabaseUnavailable: The database failed, and went on failing.
        """
        return _run(self._reader, body)

    def write(self, body: Callable[[Tx], R]) -> R:
        """Run ``body`` in one transaction, and commit it.

        Args:
            body: Called again from its start after a failure that passes, so its only effects are those in the
                transaction.

        Raises:
            DatabaseUnavailable: The database failed, and went on failing; nothing was written. Or it failed in the
                middle of the commit, and whether that took place is open.
        """

        def whole(session: Session) -> R:
            tx = Tx(session)
            result = body(tx)
            tx.flush()
            return result

        return _run(self._writer, whole)


class Repository:
    """A part of the store that answers for one subject."""

    def __init__(self, database: Database) -> None:
        self._database = database


def reads(method: Callable[Concatenate[RepositoryT, Session, P], R]) -> Callable[Concatenate[RepositoryT, P], R]:
    """Run a method of a `Repository` in one reading transaction."""

    @functools.wraps(method)
    def in_transaction(self: RepositoryT, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._database.read(lambda session: method(self, session, *args, **kwargs))

    return in_transaction


def writes(method: Callable[Concatenate[RepositoryT, Tx, P], R]) -> Callable[Concatenate[RepositoryT, P], R]:
    """Run a method of a `Repository` in one writing transaction."""

    @functools.wraps(method)
    def in_transaction(self: RepositoryT, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._database.write(lambda tx: method(self, tx, *args, **kwargs))

    return in_transaction


def _run(engine: Engine, body: Callable[[Session], R]) -> R:
    pauses = iter(PAUSES_SECONDS)
    while True:
        with Session(engine, autoflush=False, expire_on_commit=False) as session:
            try:
                result = body(session)
            except (DBAPIError, PoolTimeout) as error:
                pause = next(pauses, None) if _passes(error) else None
                if pause is None:
                    raise _named(error) from error
            else:
                return _commit(session, result)
        time.sleep(pause)


def _commit(session: Session, result: R) -> R:
    """Commit once: after a failure here nobody knows whether it took place, so it must not be tried again."""
    try:
        session.commit()
    except DBAPIError as error:
        raise _named(error) from error
    return result


def _passes(error: DBAPIError | PoolTimeout) -> bool:
    """Whether the same transaction may succeed when tried again at once."""
    if isinstance(error, PoolTimeout):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or state in _PASSING or (state is None and isinstance(error, OperationalError))


def _named(error: DBAPIError | PoolTimeout) -> Exception:
    """The error that the caller gets: one of ours, or the driver's own where only a mistake of ours explains it."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable(f"no connection to the database became free: {error}")
    if isinstance(error, DataError):
        return InvalidValue("value", value=str(error.orig), allowed="something that the database can store")
    mistake = isinstance(error.orig, sqlite3.Error) and _sqlite_code(error.orig) == sqlite3.SQLITE_ERROR
    if isinstance(error, OperationalError) and not mistake:
        return DatabaseUnavailable(f"the database does not answer: {error.orig}")
    return RuntimeError(f"the database refused a statement: {error.orig}")


def _sqlite_code(error: sqlite3.Error) -> int:
    """The primary result code, without the extension."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
