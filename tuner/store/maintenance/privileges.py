"""What the roles of a PostgreSQL database may do: the service with every row, a worker with what its runs need.

Both roles are marked by a comment, so that `tuner db upgrade` and `tuner db restore`, which make tables, find them and
grant the privileges again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from sqlalchemy import Connection, text

from tuner.store.db.models import (
    Account,
    Base,
    Event,
    Forecast,
    Job,
    LogChunk,
    Pace,
    Point,
    Report,
    Run,
    Snapshot,
    Team,
    Trial,
    Usage,
    Worker,
    Workload,
)

SERVICE_MARK: Final = "Schedule Tuner: the service"
WORKER_MARK: Final = "Schedule Tuner: workers"
"""Comments on the roles."""
OUR_VERSION: Final = "tuner_alembic_version"

_READ = ("SELECT",)
_ADD = ("SELECT", "INSERT")
_WRITE = ("SELECT", "INSERT", "UPDATE")
_ALL = ("SELECT", "INSERT", "UPDATE", "DELETE")
_JOB_COLUMNS = (
    *("state", "started_at", "finished_at", "error", "updates_spent", "updates_saved", "device_seconds"),
    *("failed_attempts", "lost_attempts", "limit_reached", "best"),
    *("plan_due", "lock_token", "lock_owner", "lock_expires_at"),
)
"""What a worker changes about a job: neither its owner and team nor the request."""

WORKER_PRIVILEGES: Final[Mapping[type[Base], tuple[str, ...]]] = {
    Account: _READ,
    Event: _ADD,
    Forecast: _WRITE,
    Job: ("SELECT", f"UPDATE ({', '.join(_JOB_COLUMNS)})"),
    LogChunk: _ALL,
    Pace: _WRITE,
    Point: _WRITE,
    Report: _ADD,
    Run: _WRITE,
    Snapshot: _ALL,
    Team: ("SELECT (name, settings)",),
    Trial: _WRITE,
    Usage: _WRITE,
    Worker: _WRITE,
    Workload: _WRITE,
}
"""Privileges of the workers' role, by table. It has none on the tables of people, tokens, logins, webhooks and the
audit log."""


def grant(connection: Connection, *, service: str, worker: str) -> None:
    """Grant both roles their privileges on the tables that exist, and revoke all others on them.

    Args:
        connection: As the tables' owner, in a transaction.
        service: The service's role.
        worker: The workers' role.
    """
    _grant_on_tables(connection, role=service, of_role=lambda _: _ALL)
    _grant_on_tables(connection, role=worker, of_role=lambda of_worker: of_worker)


def grant_again(connection: Connection) -> None:
    """Grant the roles that `tuner db roles` has made their privileges, where the database has such roles."""
    if connection.dialect.name != "postgresql":
        return
    for role in _marked(connection, SERVICE_MARK):
        _grant_on_tables(connection, role=role, of_role=lambda _: _ALL)
    for role in _marked(connection, WORKER_MARK):
        _grant_on_tables(connection, role=role, of_role=lambda of_worker: of_worker)


def table_names(connection: Connection) -> tuple[str, ...]:
    """The tables that exist, ours and Optuna's."""
    return tuple(name for name, _ in _tables(connection))


def _marked(connection: Connection, mark: str) -> tuple[str, ...]:
    """The roles with this comment that may connect to the database."""
    query = text(
        "SELECT r.rolname FROM pg_roles AS r JOIN pg_shdescription AS d ON d.objoid = r.oid "
        "AND d.classoid = 'pg_authid'::regclass AND d.description = :mark "
        "WHERE has_database_privilege(r.oid, current_database(), 'CONNECT')"
    )
    return tuple(connection.execute(query, {"mark": mark}).scalars())


def _grant_on_tables(
    connection: Connection, *, role: str, of_role: Callable[[tuple[str, ...]], tuple[str, ...]]
) -> None:
    schema = _quoted(connection, str(connection.execute(text("SELECT current_schema()")).scalar_one()))
    role = _quoted(connection, role)
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    for name, of_worker in _tables(connection):
        table, privileges = f"{schema}.{_quoted(connection, name)}", of_role(of_worker)
        connection.exec_driver_sql(f"REVOKE ALL ON TABLE {table} FROM PUBLIC, {role}")
        if privileges:
            connection.exec_driver_sql(f"GRANT {', '.join(privileges)} ON TABLE {table} TO {role}")
        for sequence in _sequences(connection, table):
            connection.exec_driver_sql(f"REVOKE ALL ON SEQUENCE {sequence} FROM PUBLIC, {role}")
            if "INSERT" in privileges:
                connection.exec_driver_sql(f"GRANT USAGE, SELECT ON SEQUENCE {sequence} TO {role}")


def _tables(connection: Connection) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The tables that exist, ours and Optuna's, each with the worker's privileges on it."""
    from tuner.store.optuna.storage import VERSION_TABLES, table_names  # importing Optuna takes a second

    ours = {model.__tablename__: privileges for model, privileges in WORKER_PRIVILEGES.items()}
    wanted = {
        **{name: ours.get(name, ()) for name in Base.metadata.tables},
        **dict.fromkeys(table_names(), _WRITE),
        **dict.fromkeys((OUR_VERSION, *VERSION_TABLES), _READ),
    }
    query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
    existing = connection.execute(text(query)).scalars().all()
    yield from ((name, wanted[name]) for name in existing if name in wanted)


def _sequences(connection: Connection, table: str) -> tuple[str, ...]:
    """The sequences that number a table's rows, quoted."""
    query = text(
        "SELECT d.objid::regclass::text FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S' "
        "WHERE d.classid = 'pg_class'::regclass AND d.refobjid = CAST(:table AS regclass) AND d.deptype IN ('a', 'i')"
    )
    return tuple(connection.execute(query, {"table": table}).scalars())


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
