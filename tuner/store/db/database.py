"""Transactions: retried after a transient failure, committed as a whole or not at all.

A method of a `Repository` that is marked `reads` or `writes` runs inside one transaction, which it gets as its first
argument and which its caller does not pass.
"""

from __future__ import annotations

import functools
import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Engine, func, insert, select
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from tuner.errors import DatabaseUnavailable, InvalidValue
from tuner.people.permissions import Actor
from tuner.store.db.clock import Now
from tuner.store.db.engine import PATIENCE, WRITES, connect, parse_url
from tuner.store.db.models import Audit, Event
from tuner.store.db.outage import Kind, OutageLog
from tuner.store.db.write_gate import DatabaseLocked, WriteGate

RETRY_PAUSES_SECONDS = (0.05, 0.2, 0.8)
"""Pauses before the retries of a transaction that failed transiently."""
_EVENT_LOCK = 0x74756E6572
"""Key of an advisory lock that nothing else uses; its bytes spell "tuner"."""
_TRANSIENT_STATES = frozenset({"25P03", "40001", "40P01", "55P03", "57P01", "57P02", "57P03"})
"""SQLSTATE of PostgreSQL: transaction idle for too long, as of a process that was stopped; serialization failure,
deadlock, lock not available; shut down, crashed, starting up."""

_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

P = ParamSpec("P")
R = TypeVar("R")
RepositoryT = TypeVar("RepositoryT", bound="Repository")


@dataclass
class Tx:
    """An open transaction that writes."""

    session: Session
    _events: list[dict[str, Any]] = field(default_factory=list)
    _now: float | None = None

    @property
    def now(self) -> float:
        """The database's time at the first use in this transaction."""
        if self._now is None:
            self._now = read_clock(self.session)
        return self._now

    def emit(self, kind: str, *, job_id: str, **data: Any) -> None:
        """Add an event; it is stored with this transaction."""
        self._events.append({"job_id": job_id, "kind": kind, "data": data, "at": self.now})

    def audit(self, by: Actor, action: str, *, target: str, team: str | None, **data: Any) -> None:
        """Add an entry to the audit log; it is stored with this transaction.

        Args:
            by: The actor.
            action: Dotted: ``"job.cancel"``.
            target: Id or name of the object of the action.
            team: The team concerned; ``None`` for the service.
            data: The changed values, as JSON; never a secret.
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
        """Write what is pending, the events last."""
        self.session.flush()
        if not self._events:
            return
        if self.session.get_bind().dialect.name == "postgresql":
            # Ids come from a sequence: without the lock a slower transaction could commit a smaller id after a reader
            # has seen a greater one, and the reader would miss it. Taken after all row locks, so it cannot deadlock.
            self.session.execute(select(func.pg_advisory_xact_lock(_EVENT_LOCK)))
        self.session.execute(insert(Event), self._events)


def read_clock(session: Session) -> float:
    """Seconds since 1970 UTC by the database's clock."""
    return float(session.execute(select(Now())).scalar_one())


class Database:
    """A pool of connections, safe to use from many threads.

    Args:
        url: See `tuner.store.db.engine.parse_url`.
        patience: How long a writing transaction may wait for other writers, in seconds, retries included: of a process
            that has others waiting for its response. As long as the engine and all retries allow when absent.
    """

    def __init__(self, url: str, *, patience: float | None = None) -> None:
        self._engine = connect(parse_url(url))
        self._writer = self._writer_with(patience)
        self._hasty = self._writer_with(0.0)
        self._patience = patience
        self._outages = OutageLog()
        self._gate: Callable[[], AbstractContextManager[None]] = nullcontext
        if patience is not None and self._engine.dialect.name == "sqlite":
            self._gate = WriteGate().passing
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
            DatabaseUnavailable: The database failed, also in the retries.
        """
        with self._noting("read"):
            return _run(self._reader, body)

    def write(self, body: Callable[[Tx], R], *, waits: bool = True) -> R:
        """Run ``body`` in one transaction, and commit it.

        Args:
            body: Called again from its start after a transient failure, so it must have no effects outside the
                transaction.
            waits: Whether it may wait for other writers; if not, it fails at once where one holds the lock.

        Raises:
            DatabaseUnavailable: The database failed, also in the retries, and nothing was written; or it failed during
                the commit, and the outcome is unknown.
        """

        def run(session: Session) -> R:
            tx = Tx(session)
            result = body(tx)
            tx.flush()
            return result

        if not waits:
            return _run(self._hasty, run, patience=0.0)
        with self._noting("write"), self._gate():
            return _run(self._writer, run, patience=self._patience)

    @contextmanager
    def _noting(self, kind: Kind) -> Iterator[None]:
        """Note what a transaction says of the database."""
        try:
            yield
        except DatabaseUnavailable as error:
            self._outages.failed(kind, error)
            raise
        except BaseException:
            self._outages.succeeded(kind)
            raise
        self._outages.succeeded(kind)

    def _writer_with(self, patience: float | None) -> Engine:
        limit = {} if patience is None else {PATIENCE: patience}
        return self._engine.execution_options(**{WRITES: True} | limit)


class Repository:
    """A part of the store: the operations on one subject."""

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


def _run(engine: Engine, body: Callable[[Session], R], *, patience: float | None = None) -> R:
    pauses = iter(RETRY_PAUSES_SECONDS)
    end = math.inf if patience is None else time.monotonic() + patience
    while True:
        with Session(engine, autoflush=False, expire_on_commit=False) as session:
            try:
                result = body(session)
            except (DBAPIError, PoolTimeout) as error:
                pause = next(pauses, None) if is_transient(error) else None
                if pause is None or time.monotonic() + pause > end:
                    raise translate_error(error) from error
            else:
                return _commit(session, result)
        time.sleep(pause)


def _commit(session: Session, result: R) -> R:
    """Commit without a retry: after a failure the outcome is unknown."""
    try:
        session.commit()
    except DBAPIError as error:
        raise translate_error(error) from error
    return result


def is_transient(error: DBAPIError | PoolTimeout) -> bool:
    """Whether the same transaction may succeed in a retry."""
    if isinstance(error, PoolTimeout):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in _LOCKED
    state = getattr(error.orig, "sqlstate", None)
    lost = error.connection_invalidated or (state is None and isinstance(error, OperationalError))
    return lost or state in _TRANSIENT_STATES


def translate_error(error: DBAPIError | PoolTimeout) -> Exception:
    """Translate to `DatabaseUnavailable` or `InvalidValue`; else to `RuntimeError`, for a defect of the store."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable(f"no connection to the database became free: {error}")
    if isinstance(error, DataError):
        return InvalidValue("value", value=str(error.orig), allowed="something that the database can store")
    code = _sqlite_code(error.orig) if isinstance(error.orig, sqlite3.Error) else None
    if code in _LOCKED:
        return DatabaseLocked(f"another process writes to the database: {error.orig}")
    if getattr(error.orig, "sqlstate", None) in _TRANSIENT_STATES:
        return DatabaseUnavailable(f"the database does not answer: {error.orig}")
    defect = code == sqlite3.SQLITE_ERROR
    if (error.connection_invalidated or isinstance(error, OperationalError)) and not defect:
        return DatabaseUnavailable(f"the database does not answer: {error.orig}")
    return RuntimeError(f"the database refused a statement: {error.orig}")


def _sqlite_code(error: sqlite3.Error) -> int:
    """The primary result code, without the extension."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
