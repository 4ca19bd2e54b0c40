"""The roles of a PostgreSQL database: one that owns the tables, one for the service, a narrow one for the workers.

None is a superuser. The owner upgrades, backs up and restores; the service reads and writes every row; a worker's role
(`tuner.store.maintenance.privileges`) reaches neither people nor tokens nor webhooks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import ProgrammingError

from tuner.errors import InvalidValue
from tuner.store.db.engine import parse_url
from tuner.store.maintenance.migrate import open_engine, upgrade_lock
from tuner.store.maintenance.privileges import SERVICE_MARK, WORKER_MARK, grant, table_names

ATTRIBUTES: Final = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
SQLITE_HINT: Final = "SQLite has no roles: every user who may read its file reads everything in it"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_INSUFFICIENT_PRIVILEGE = "42501"


@dataclass(frozen=True, kw_only=True)
class Login:
    """A role, and what it logs in with."""

    name: str
    password: str | None = None
    """Set where present; without one the role keeps what it has, and may be let in by a certificate or as a user of
    the machine."""


@dataclass(frozen=True, kw_only=True)
class DatabaseRoles:
    """The three roles of a database."""

    owner: Login = Login(name="tuner_owner")
    service: Login = Login(name="tuner_service")
    worker: Login = Login(name="tuner_worker")


def make_roles(url: str, roles: DatabaseRoles) -> None:
    """Make the roles, hand the database and its tables to the owner, and grant the others their privileges.

    All in one transaction; running it again changes nothing. Nobody else may connect to the database afterwards, except
    superusers.

    Args:
        url: Of a superuser, or of the database's owner with CREATEROLE and CREATEDB.
        roles: Their names and passwords.

    Raises:
        InvalidValue: The database is not PostgreSQL's, a name is no name for a role, or the URL's own role is among the
            three or may not make roles.
        DatabaseUnavailable: The database cannot be reached.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "postgresql":
        raise InvalidValue("database_url", value=_shown(parsed), allowed="one of PostgreSQL", hint=SQLITE_HINT)
    _check_names(roles)
    try:
        with upgrade_lock(parsed), open_engine(parsed) as engine, engine.begin() as connection:
            _make(connection, roles)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _INSUFFICIENT_PRIVILEGE:
            raise
        allowed = "that of a superuser, or of the database's owner with the attributes CREATEROLE and CREATEDB"
        raise InvalidValue("database_url", value=_shown(parsed), allowed=allowed, hint=str(error.orig)) from error


def _make(connection: Connection, roles: DatabaseRoles) -> None:
    names = {login.name for login in (roles.owner, roles.service, roles.worker)}
    user, database, schema, superuser = connection.execute(
        text(
            "SELECT current_user, current_database(), current_schema(), rolsuper FROM pg_roles "
            "WHERE rolname = current_user"
        )
    ).one()
    if user in names:
        hint = "It makes the roles, so it cannot be one of them"
        raise InvalidValue("database_url", value=user, allowed="that of another role than the three", hint=hint)
    for login in (roles.owner, roles.service, roles.worker):
        _make_role(connection, login)
    quote = connection.dialect.identifier_preparer.quote
    owner, service, worker = (quote(login.name) for login in (roles.owner, roles.service, roles.worker))
    database, schema = quote(database), quote(schema)
    if not superuser:
        connection.exec_driver_sql(f"GRANT {owner} TO CURRENT_USER")  # to hand things to it
    for role, mark in ((service, SERVICE_MARK), (worker, WORKER_MARK)):
        connection.exec_driver_sql(f"COMMENT ON ROLE {role} IS '{mark}'")
        _leave_all_groups(connection, role)
    connection.exec_driver_sql(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC, {service}, {worker}")
    connection.exec_driver_sql(f"GRANT CONNECT ON DATABASE {database} TO {owner}, {service}, {worker}")
    # Before PostgreSQL 15 everyone may make functions and tables there, which others would then use.
    connection.exec_driver_sql(f"REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, {service}, {worker}")
    connection.exec_driver_sql(f"GRANT ALL ON SCHEMA {schema} TO {owner}")
    connection.exec_driver_sql(f"ALTER DATABASE {database} OWNER TO {owner}")
    _hand_over(connection, owner=owner, schema=schema)
    grant(connection, service=roles.service.name, worker=roles.worker.name)


def _make_role(connection: Connection, login: Login) -> None:
    name = connection.dialect.identifier_preparer.quote(login.name)
    query = text(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication FROM pg_roles WHERE rolname = :name"
    )
    powerful = connection.execute(query, {"name": login.name}).scalar()
    if powerful is None:
        connection.exec_driver_sql(f"CREATE ROLE {name} {ATTRIBUTES}")
    elif powerful:
        connection.exec_driver_sql(f"ALTER ROLE {name} {ATTRIBUTES}")
    if login.password is not None:
        # Hashed here: the statement may appear in the server's log.
        client = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]
        verifier = client.encrypt_password(login.password.encode(), login.name.encode(), b"scram-sha-256").decode()
        connection.exec_driver_sql(f"ALTER ROLE {name} PASSWORD '{verifier}'")


def _leave_all_groups(connection: Connection, role: str) -> None:
    """End a role's memberships: it would have the privileges of each."""
    query = text("SELECT roleid::regrole::text FROM pg_auth_members WHERE member = CAST(:role AS regrole)")
    for group in connection.execute(query, {"role": role}).scalars().all():
        connection.exec_driver_sql(f"REVOKE {group} FROM {role}")


def _hand_over(connection: Connection, *, owner: str, schema: str) -> None:
    """Make the owner the owner of the tables, and of the types of their columns."""
    quote = connection.dialect.identifier_preparer.quote
    tables = table_names(connection)
    for name in tables:
        connection.exec_driver_sql(f"ALTER TABLE {schema}.{quote(name)} OWNER TO {owner}")
    enums = text(
        "SELECT DISTINCT t.oid::regtype::text FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid "
        "JOIN pg_class AS c ON c.oid = a.attrelid WHERE t.typtype = 'e' AND c.relname = ANY(:tables) "
        "AND c.relnamespace = current_schema()::regnamespace"
    )
    for name in connection.execute(enums, {"tables": list(tables)}).scalars().all():
        connection.exec_driver_sql(f"ALTER TYPE {name} OWNER TO {owner}")


def _check_names(roles: DatabaseRoles) -> None:
    names = [login.name for login in (roles.owner, roles.service, roles.worker)]
    for name in names:
        if not _NAME.fullmatch(name) or name.startswith("pg_"):
            raise InvalidValue("role", value=name, allowed="of small letters, digits and _, without pg_ at its start")
        if names.count(name) > 1:
            raise InvalidValue("role", value=name, allowed="another one for each of owner, service and worker")


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)
