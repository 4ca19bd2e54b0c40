"""The store: the database of jobs, the queue with its leases, and the writes of plans. The only package with SQL."""

from tuner.store.db.pages import Page
from tuner.store.jobs.events import EventKind
from tuner.store.jobs.workers import WORKER_TIMEOUT_SECONDS
from tuner.store.queue.reaper import Reaped
from tuner.store.store import Store

__all__ = ["WORKER_TIMEOUT_SECONDS", "EventKind", "Page", "Reaped", "Store"]
