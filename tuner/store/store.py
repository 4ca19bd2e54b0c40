"""The store: the single entry point to the database."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tuner.errors import SchemaMismatch
from tuner.store.db.database import Database, read_clock
from tuner.store.db.engine import parse_url
from tuner.store.jobs.events import Events
from tuner.store.jobs.forecasts import Forecasts
from tuner.store.jobs.jobs import Jobs
from tuner.store.jobs.planning import Planning
from tuner.store.jobs.run_queries import Runs
from tuner.store.jobs.trials import Trials
from tuner.store.jobs.workers import Workers
from tuner.store.maintenance import migrate as migration
from tuner.store.people.audit import AuditLog
from tuner.store.people.people import People
from tuner.store.queue.leases import Leases
from tuner.store.queue.metrics import QueueMetrics
from tuner.store.queue.queue import Queue
from tuner.store.queue.reaper import Reaper
from tuner.store.webhooks.deliveries import Deliveries
from tuner.store.webhooks.webhooks import Webhooks

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from tuner.store.optuna.study_view import StudyView


class Store:
    """All persistent data, one attribute per subject. Safe to use from many threads; not across a fork.

    Every method is one short transaction and may raise `DatabaseUnavailable`.
    """

    def __init__(self, url: str, *, patience: float | None = None) -> None:
        """Use a database whose tables are current; `open` ensures that."""
        self._url = url
        self._patience = patience
        self._database = Database(url, patience=patience)
        self._open = ExitStack()
        self._open.callback(self._database.close)
        self._optuna: BaseStorage | None = None
        self._optuna_lock = threading.Lock()
        self.jobs = Jobs(self._database)
        self.trials = Trials(self._database)
        self.runs = Runs(self._database)
        self.forecasts = Forecasts(self._database)
        self.queue = Queue(self._database)
        self.leases = Leases(self._database)
        self.reaper = Reaper(self._database)
        self.planning = Planning(self._database)
        self.workers = Workers(self._database)
        self.events = Events(self._database)
        self.webhooks = Webhooks(self._database)
        self.deliveries = Deliveries(self._database)
        self.metrics = QueueMetrics(self._database)
        self.people = People(self._database)
        self.audit = AuditLog(self._database)

    @classmethod
    def open(cls, url: str, *, migrate: bool | None = None, patience: float | None = None) -> Store:
        """Open a database.

        Args:
            url: ``sqlite:///path/to/file.db`` or ``postgresql://user:password@host/database``.
            migrate: Whether to create or upgrade the tables. By default on SQLite only: a shared database is upgraded
                by an explicit command.
            patience: How long a write may wait for other writers, in seconds, before `DatabaseUnavailable`; two minutes
                when absent.

        Raises:
            InvalidValue: The URL is not supported.
            SchemaMismatch: The tables are missing, older or newer than this version of Schedule Tuner.
            DatabaseUnavailable: The database cannot be reached.
        """
        if migrate is None:
            migrate = parse_url(url).get_backend_name() == "sqlite"
        if migrate:
            migration.upgrade(url)
        elif not migration.is_current(url):
            shown = parse_url(url).render_as_string(hide_password=True)
            raise SchemaMismatch(
                f"the tables in {shown} are not those of this version of Schedule Tuner. "
                f"Run `tuner db upgrade` with the same database URL once, then start again"
            )
        return cls(url, patience=patience)

    def close(self) -> None:
        """Close the connections. The store must not be used afterwards."""
        self._open.close()

    def now(self) -> float:
        """Seconds since 1970 UTC by the database's clock."""
        return self._database.read(read_clock)

    def is_current(self) -> bool:
        """Whether the database still has exactly the schema of this version; cheap enough for health checks."""
        return self._database.read(lambda session: migration.has_current_schema(session.connection()))

    def optuna_storage(self) -> BaseStorage:
        """Optuna's storage in the same database, opened once."""
        from tuner.store.optuna.storage import open_backend, with_cache

        with self._optuna_lock:
            if self._optuna is None:
                backend = open_backend(self._url, patience=self._patience)
                self._open.callback(backend.engine.dispose)
                self._optuna = with_cache(backend)
            return self._optuna

    def study_view(self) -> StudyView:
        """Optuna's studies, read-only."""
        from tuner.store.optuna.study_view import StudyView

        return StudyView(self.optuna_storage())

    def delete_study(self, job_id: str) -> None:
        """Delete the Optuna study of a deleted job, if there is one."""
        from tuner.store.optuna.storage import delete_study

        delete_study(self.optuna_storage(), name=job_id)
