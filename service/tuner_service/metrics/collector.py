"""Collects the queue's metrics for Prometheus from the database, when they are scraped."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tuner.errors import DatabaseUnavailable
from tuner.store import Store
from tuner.store.queue.metrics import WAIT_BUCKETS, QueueCounters, QueueGauges, WaitHistogram

MAX_AGE = timedelta(seconds=5)
"""Metrics are read from the database at most this often, for any number of scrapers."""


class Tally:
    """Counters since the first collection."""

    def __init__(self) -> None:
        self.lease_expiries: Counter[str] = Counter()
        self.prunes: Counter[str] = Counter()
        empty = WaitHistogram(cumulative=(0,) * len(WAIT_BUCKETS), count=0, seconds=0.0)
        self.waits: dict[str, WaitHistogram] = defaultdict(lambda: empty)

    def add(self, delta: QueueCounters) -> None:
        """Add the counts since the previous collection."""
        self.lease_expiries.update(delta.lease_expiries)
        self.prunes.update(delta.prunes)
        for team, more in delta.waits.items():
            total = self.waits[team]
            self.waits[team] = WaitHistogram(
                cumulative=tuple(a + b for a, b in zip(total.cumulative, more.cumulative, strict=True)),
                count=total.count + more.count,
                seconds=total.seconds + more.seconds,
            )


class QueueCollector(Collector):
    """Reads the metrics, with a cache.

    Gauges and total usage are the same for every service over one database. Counters of events start at the first
    collection of this process.

    Args:
        store: The database.
        max_age: Maximum age of cached metrics.
        clock: Monotonic seconds.
    """

    def __init__(
        self, store: Store, *, max_age: timedelta = MAX_AGE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._max_age = max_age.total_seconds()
        self._clock = clock
        self._lock = threading.Lock()
        self._tally = Tally()
        self._seen: int | None = None
        self._cached: tuple[Metric, ...] = ()
        self._fresh_until = clock()

    def describe(self) -> Iterable[Metric]:
        """The metrics without their values."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The metrics; while the database is away, only `tuner_database_up`."""
        with self._lock:
            now = self._clock()
            if not self._cached or now >= self._fresh_until:
                self._cached = self._read()
                self._fresh_until = now + self._max_age
            return self._cached

    def _read(self) -> tuple[Metric, ...]:
        up = GaugeMetricFamily("tuner_database_up", "Whether the database responds.")
        try:
            if self._seen is None:
                self._seen = self._store.metrics.last_event()
            counters = self._store.metrics.counters(after=self._seen)
            gauges = self._store.metrics.gauges()
        except DatabaseUnavailable:
            up.add_metric([], 0)
            return (up,)
        self._seen = counters.last_event
        self._tally.add(counters)
        up.add_metric([], 1)
        return (up, *_gauges(gauges), *_counters(self._tally))


def _gauges(gauges: QueueGauges) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("tuner_jobs", "Jobs.", labels=["team", "state"])
    for (team, state), count in gauges.jobs.items():
        jobs.add_metric([team, state], count)
    yield jobs
    runs = GaugeMetricFamily("tuner_runs", "Runs.", labels=["team", "state"])
    for (team, state), count in gauges.runs.items():
        runs.add_metric([team, state], count)
    yield runs
    oldest = GaugeMetricFamily(
        "tuner_queue_oldest_waiting_seconds", "How long the oldest run or job has waited.", labels=["team"]
    )
    for team, seconds in gauges.oldest_waiting_seconds.items():
        oldest.add_metric([team], seconds)
    yield oldest
    workers = GaugeMetricFamily("tuner_workers", "Workers that have not left.", labels=["state"])
    for state, count in gauges.workers.items():
        workers.add_metric([state], count)
    yield workers
    deliveries = GaugeMetricFamily("tuner_webhook_deliveries", "Deliveries to webhooks.", labels=["state"])
    for state, count in gauges.deliveries.items():
        deliveries.add_metric([state], count)
    yield deliveries
    updates = CounterMetricFamily("tuner_updates", "Updates that runs have executed.", labels=["team"])
    seconds_used = CounterMetricFamily(
        "tuner_device_seconds", "Device time that runs have taken: seconds times devices.", labels=["team"]
    )
    for team, used in gauges.used.items():
        updates.add_metric([team], used.updates)
        seconds_used.add_metric([team], used.device_seconds)
    yield updates
    yield seconds_used


def _counters(tally: Tally) -> Iterator[Metric]:
    expiries = CounterMetricFamily("tuner_lease_expiries", "Leases that expired.", labels=["team"])
    for team, count in tally.lease_expiries.items():
        expiries.add_metric([team], count)
    yield expiries
    prunes = CounterMetricFamily("tuner_prunes", "Trials that were pruned.", labels=["family"])
    for family, count in tally.prunes.items():
        prunes.add_metric([family], count)
    yield prunes
    waits = HistogramMetricFamily(
        "tuner_queue_wait_seconds", "How long runs were in the queue before a worker took them.", labels=["team"]
    )
    for team, wait in tally.waits.items():
        bounds = [(str(bound), float(n)) for bound, n in zip(WAIT_BUCKETS, wait.cumulative, strict=True)]
        waits.add_metric([team], buckets=[*bounds, ("+Inf", float(wait.count))], sum_value=wait.seconds)
    yield waits
