"""The registry of the service's metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Info, ProcessCollector

from tuner import __version__
from tuner.store import Store
from tuner_service.metrics.collector import QueueCollector


def new_registry(store: Store) -> CollectorRegistry:
    """A registry for one application. The library's global registry would mix the applications of one process.

    Args:
        store: The database of the queue.
    """
    registry = CollectorRegistry()
    registry.register(QueueCollector(store))
    ProcessCollector(registry=registry)
    Info("tuner_service", "Version of the service.", registry=registry).info({"version": __version__})
    return registry
