"""Optuna's storage in the same database, beside our tables."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy import URL

from tuner.errors import SchemaMismatch
from tuner.store.db.engine import BUSY_TIMEOUT_SECONDS, parse_url, postgres_settings, set_sqlite_pragmas


def open_backend(url: str) -> RDBStorage:
    """Open Optuna's storage, without its cache. The tables exist: `tuner.store.maintenance.migrate.upgrade`.

    Optuna's log messages then go where the program's go, and only from warnings up.

    Args:
        url: The database's, as for `Store.open`.

    Returns:
        The storage; its ``engine`` is disposed of by whoever opened it.
    """
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parsed = parse_url(url)
    if parsed.get_backend_name() == "postgresql":
        return RDBStorage(_template(parsed), engine_kwargs=postgres_settings(parsed), skip_table_creation=True)
    # IMMEDIATE: a transaction that writes waits for its turn at the beginning; later it could only fail.
    arguments = {"timeout": BUSY_TIMEOUT_SECONDS, "isolation_level": "IMMEDIATE"}
    storage = RDBStorage(_template(parsed), engine_kwargs={"connect_args": arguments}, skip_table_creation=True)
    storage.engine.dispose()  # the constructor has connected already, without the pragmas
    set_sqlite_pragmas(storage.engine, foreign_keys=False)
    return storage


def with_cache(backend: RDBStorage) -> BaseStorage:
    """Let finished trials be read once. Optuna does it to every storage that it is given, but anew for each study."""
    return get_storage(backend)


def delete_study(storage: BaseStorage, *, name: str) -> None:
    """Delete a study with its trials; nothing happens where there is none of this name."""
    try:
        storage.delete_study(storage.get_study_id_from_name(name))
    except KeyError:
        return


def bring_forward(url: URL) -> None:
    """Make Optuna's tables, or bring those that an earlier Optuna made to the installed one's.

    Raises:
        SchemaMismatch: A newer Optuna made them.
    """
    if url.get_backend_name() == "sqlite":
        engine_kwargs: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}}
    else:
        engine_kwargs = postgres_settings(url, hurried=False)
    storage = RDBStorage(_template(url), engine_kwargs=engine_kwargs, skip_compatibility_check=True)
    try:
        present = storage.get_current_version()
        if present not in storage.get_all_versions():
            raise SchemaMismatch(
                f"Optuna's tables are at {present}, which Optuna {optuna.__version__} does not know: "
                f"a newer Optuna made them; install that one here too"
            )
        if present != storage.get_head_version():
            with _logging_left_alone():
                storage.upgrade()
    finally:
        storage.engine.dispose()


@cache
def newest_revision() -> str:
    """The revision of Optuna's tables that the installed Optuna works with."""
    storage = RDBStorage("sqlite://")  # in memory; its constructor is the only public way to ask
    try:
        return storage.get_head_version()
    finally:
        storage.engine.dispose()


@contextmanager
def _logging_left_alone() -> Iterator[None]:
    """Keep Optuna's migrations from setting up the program's logging, as they do where it has no handler yet."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _template(url: URL) -> str:
    """Optuna formats its URL with ``str.format``, so that braces, as a password may have, must be doubled."""
    return url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
