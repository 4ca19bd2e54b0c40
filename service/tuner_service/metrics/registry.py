"""All metrics of one service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Info, ProcessCollector

from tuner import __version__
from tuner.store import Store
from tuner_service.metrics.collector import QueueCollector


def new_registry(store: Store) -> CollectorRegistry:
    """A registry of its own for each application: the library's global one would mix those of one process.

    Args:
        store: The database that the queue's figures come from.
    """
    registry = CollectorRegistry()
    registry.register(QueueCollector(store))
    ProcessCollector(registry=registry)
    Info("tuner_service", "The service that answers.", registry=registry).info({"version": __version__})
    return registry
