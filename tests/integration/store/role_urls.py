"""URLs of the roles of a database on the test server, whose roles are everybody's: each database has its own names."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import make_url

from tuner.store.maintenance.roles import DatabaseRoles, Login


def roles_of(url: str, *, passwords: Mapping[str, str] | None = None) -> DatabaseRoles:
    """Roles that no other database has."""
    name = make_url(url).database
    logins = {
        role: Login(name=f"{name}_{role}", password=(passwords or {}).get(role))
        for role in ("owner", "service", "worker")
    }
    return DatabaseRoles(**logins)


def url_as(url: str, login: Login) -> str:
    """The same database's URL for another role."""
    return make_url(url).set(username=login.name, password=login.password).render_as_string(hide_password=False)
