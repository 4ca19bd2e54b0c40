"""Optuna's storage, in the same database as our tables."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy import URL, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tuner.errors import DatabaseUnavailable, SchemaMismatch
from tuner.store.db.database import translate_error
from tuner.store.db.engine import BUSY_TIMEOUT_SECONDS, parse_url, postgres_settings, set_sqlite_pragmas

VERSION_TABLES = ("alembic_version", "version_info")
"""Tables of Optuna's that hold its revision."""


def open_backend(url: str, *, patience: float | None = None) -> RDBStorage:
    """Open Optuna's storage, without its cache. The tables exist: `tuner.store.maintenance.migrate.upgrade`.

    Optuna's log messages of level WARNING and above propagate to the program's handlers.

    Args:
        url: The database's, as for `Store.open`.
        patience: How long a write to a SQLite file waits for other writers, in seconds.

    Returns:
        The storage; the caller disposes of its ``engine``.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return _opened(parse_url(url), patience=patience)
    except (DBAPIError, PoolTimeout) as error:
        raise translate_error(error) from error
    except StorageInternalError as error:
        raise DatabaseUnavailable(f"the study's tables cannot be used: {error.__cause__ or error}") from error


def _opened(parsed: URL, *, patience: float | None) -> RDBStorage:
    if parsed.get_backend_name() == "postgresql":
        return RDBStorage(_template(parsed), engine_kwargs=postgres_settings(parsed), skip_table_creation=True)
    # IMMEDIATE: a writing transaction waits for the lock at its start; an upgrade of a read lock would fail instead.
    timeout = BUSY_TIMEOUT_SECONDS if patience is None else patience
    arguments = {"timeout": timeout, "isolation_level": "IMMEDIATE"}
    storage = RDBStorage(_template(parsed), engine_kwargs={"connect_args": arguments}, skip_table_creation=True)
    storage.engine.dispose()  # the constructor has connected without the pragmas
    set_sqlite_pragmas(storage.engine, foreign_keys=False)
    return storage


def with_cache(backend: RDBStorage) -> BaseStorage:
    """Cache finished trials, as Optuna does for every storage, but once instead of for each study."""
    return get_storage(backend)


def delete_study(storage: BaseStorage, *, name: str) -> None:
    """Delete a study with its trials, if there is one of this name."""
    try:
        storage.delete_study(storage.get_study_id_from_name(name))
    except KeyError:
        return


def upgrade_tables(url: URL) -> None:
    """Create Optuna's tables, or upgrade them to the installed Optuna's.

    Raises:
        SchemaMismatch: A newer Optuna created them.
    """
    if url.get_backend_name() == "sqlite":
        engine_kwargs: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}}
    else:
        engine_kwargs = postgres_settings(url, timeouts=False)
    storage = RDBStorage(_template(url), engine_kwargs=engine_kwargs, skip_compatibility_check=True)
    try:
        present = storage.get_current_version()
        if present not in storage.get_all_versions():
            raise SchemaMismatch(
                f"Optuna's tables are at {present}, which Optuna {optuna.__version__} does not know: "
                f"a newer Optuna made them; install that one here too"
            )
        if present != storage.get_head_version():
            with _preserve_logging():
                storage.upgrade()
    finally:
        storage.engine.dispose()


@cache
def table_names() -> frozenset[str]:
    """The names of Optuna's tables, without those of its revision."""
    engine = RDBStorage("sqlite://").engine  # in memory
    try:
        return frozenset(inspect(engine).get_table_names()) - frozenset(VERSION_TABLES)
    finally:
        engine.dispose()


@cache
def head_revision() -> str:
    """The revision of Optuna's tables that the installed Optuna requires."""
    storage = RDBStorage("sqlite://")  # in memory: only an instance has the method
    try:
        return storage.get_head_version()
    finally:
        storage.engine.dispose()


@contextmanager
def _preserve_logging() -> Iterator[None]:
    """Prevent Optuna's migrations from configuring the root logger, which they do while it has no handler."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _template(url: URL) -> str:
    """The URL for Optuna, which formats it with ``str.format``: braces, as in a password, are doubled."""
    return url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
