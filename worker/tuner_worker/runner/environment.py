"""The environment of the runner: the worker's own, without credentials of the database."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.process.private import database_password, database_passwords

_OURS = "TUNER_"
_FOR_THE_RUNNER = frozenset({"TUNER_THREADS"})
_CREDENTIALS = frozenset({"DATABASE_URL", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE"})


def runner_environment(
    environment: Mapping[str, str], *, database_url: str, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment for a runner.

    Left out are our own settings (``TUNER_*``; only ``TUNER_THREADS`` is the runner's), libpq's and the usual names of
    database credentials, and every variable whose value holds the database URL, a URL with the same password, or is
    that password.

    Args:
        environment: The worker's own.
        database_url: Must not be passed on.
        extra: Set on top, for the device and the user.
    """
    password = database_password(database_url)
    within = [database_url] if password is None else [database_url, f":{password}@", f"password={password}"]
    equal = database_passwords(database_url, environment)
    inherited = {
        name: value
        for name, value in environment.items()
        if (name in _FOR_THE_RUNNER or not name.upper().startswith(_OURS))
        and name.upper() not in _CREDENTIALS
        and value not in equal
        and not any(secret in value for secret in within)
    }
    return {**inherited, **(extra or {})}
