"""The metrics that a worker exposes to Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tuner.devices import Device, Memory, memory_of
from tuner.driver.observer import Observer
from tuner.errors import InvalidValue
from tuner.jobs.records import LeasedRun

_CLAIM_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_WAIT_BUCKETS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 3 * 24 * 3600)


class ReadMemory(Protocol):
    """Reads the memory of each device that a device stands for."""

    def __call__(self, device: Device, /) -> tuple[Memory | None, ...]: ...  # noqa: D102


class WorkerMetrics(Observer):
    """The metrics of one worker, in a registry of its own. They are counted whether or not they are served.

    Args:
        device: What it trains on.
        read_memory: Reads the device's memory when it is asked for.
    """

    def __init__(self, device: Device, *, read_memory: ReadMemory = memory_of) -> None:
        self.registry = CollectorRegistry()
        self._claims = Histogram(
            "tuner_worker_claim_seconds",
            "How long the database took to say what is to be done next, by what that was: run, plan or nothing.",
            labelnames=["found"],
            buckets=_CLAIM_BUCKETS,
            registry=self.registry,
        )
        self._waits = Histogram(
            "tuner_worker_queue_wait_seconds",
            "How long the runs that this worker claimed had been in the queue.",
            buckets=_WAIT_BUCKETS,
            registry=self.registry,
        )
        self._updates = Counter(
            "tuner_worker_updates",
            "Optimizer updates executed; its rate is updates per second.",
            labelnames=["workload"],
            registry=self.registry,
        )
        self._runs = Counter(
            "tuner_worker_runs",
            "Runs that have left this worker, by how: succeeded, diverged, failed, died, returned or lost.",
            labelnames=["outcome"],
            registry=self.registry,
        )
        self._training = Gauge(
            "tuner_worker_training", "1 while a run is being trained, else 0.", registry=self.registry
        )
        self.registry.register(_DeviceMemory(device, read=read_memory))

    def claimed(self, seconds: float, *, found: str) -> None:
        """See `Observer.claimed`."""
        self._claims.labels(found).observe(seconds)

    def updated(self, updates: int, *, workload: str) -> None:
        """See `Observer.updated`."""
        self._updates.labels(workload).inc(updates)

    @contextmanager
    def training(self, lease: LeasedRun) -> Iterator[None]:
        """See `Observer.training`."""
        self._waits.observe(lease.waited_seconds)
        with self._training.track_inprogress():
            yield

    def run_left(self, outcome: str) -> None:
        """See `Observer.run_left`."""
        self._runs.labels(outcome).inc()

    @contextmanager
    def served(self, *, host: str, port: int) -> Iterator[None]:
        """Serve ``http://host:port/metrics`` within the block, in a thread; serve nothing when the port is 0.

        Raises:
            InvalidValue: The port cannot be had.
        """
        if port == 0:
            yield
            return
        try:
            server, thread = start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            hint = "Each worker on a machine needs a port of its own; 0 serves no metrics"
            raise InvalidValue("metrics_port", value=port, allowed=f"free on {host} ({error})", hint=hint) from None
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _DeviceMemory(Collector):
    """Reads the device's memory whenever Prometheus asks."""

    def __init__(self, device: Device, *, read: ReadMemory) -> None:
        self._names = device.name.split(",")
        self._device = device
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return self._families()

    def collect(self) -> Iterable[Metric]:
        used, total = self._families()
        for name, memory in zip(self._names, self._read(self._device), strict=True):
            if memory is not None:
                used.add_metric([name, self._device.model], memory.used_bytes)
                total.add_metric([name, self._device.model], memory.total_bytes)
        return used, total

    def _families(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        labels = ["device", "model"]
        return (
            GaugeMetricFamily(
                "tuner_worker_device_memory_used_bytes", "Memory in use on the device, by any process.", labels=labels
            ),
            GaugeMetricFamily("tuner_worker_device_memory_bytes", "Memory of the device.", labels=labels),
        )
