"""The checks of the database, which are public and therefore cheap: they are made once a second at most."""

from __future__ import annotations

from typing import Final

from tuner.errors import TunerError
from tuner.store import Store

READINESS_SECONDS: Final = 1.0
OK: Final = "ok"


def database_checks(store: Store) -> dict[str, str]:
    """The result of each check: ``"ok"`` or what is wrong."""
    try:
        store.now()
        current = store.is_current()
    except TunerError:  # the operation is public, and the reason names hosts: the store logs it
        return {"database": "it does not respond; the service's log has the reason", "schema": "unknown"}
    return {"database": OK, "schema": OK if current else "of another version; run `tuner db upgrade`"}
