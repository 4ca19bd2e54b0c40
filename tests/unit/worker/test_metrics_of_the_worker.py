"""The figures that a worker gives to Prometheus."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tuner.devices import Device, DeviceKind, Memory
from tuner.errors import InvalidValue
from tuner.jobs.records import LeasedRun
from tuner.metric import DEFAULT_METRIC
from tuner.schedules import Constant, Schedule
from tuner_worker.metrics import WorkerMetrics

LEASE = LeasedRun(
    run_id="r",
    job_id="j",
    token="t",
    attempt=1,
    expires_at=0.0,
    workload="digits",
    workload_version="1",
    metric=DEFAULT_METRIC,
    options={},
    schedule=Schedule(peak_lr=0.1, family=Constant()),
    total_steps=60,
    seed=1,
    prefix_key=None,
    snapshot=None,
    waited_seconds=42.0,
)
PAIR = Device(name="cuda:0,cuda:1", torch_name="cuda:0", kind=DeviceKind.CUDA, model="H100", count=2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def figure(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics(PAIR, read_memory=lambda _: (Memory(total_bytes=80, used_bytes=20), None))


def test_what_happened_is_counted(metrics):
    metrics.claimed(0.004, found="run")
    metrics.claimed(0.001, found="nothing")
    metrics.updated(30, workload="digits")
    metrics.updated(10, workload="digits")
    with metrics.training(LEASE):
        assert figure(metrics, "tuner_worker_training") == 1
    metrics.run_left("succeeded")

    assert figure(metrics, "tuner_worker_training") == 0
    assert figure(metrics, "tuner_worker_claim_seconds_count", found="run") == 1
    assert figure(metrics, "tuner_worker_claim_seconds_sum", found="nothing") == 0.001
    assert figure(metrics, "tuner_worker_queue_wait_seconds_sum") == 42.0
    assert figure(metrics, "tuner_worker_updates_total", workload="digits") == 40
    assert figure(metrics, "tuner_worker_runs_total", outcome="succeeded") == 1


def test_the_memory_of_a_device_is_reported_where_the_driver_reports_it(metrics):
    first = {"device": "cuda:0", "model": "H100"}
    assert figure(metrics, "tuner_worker_device_memory_bytes", **first) == 80
    assert figure(metrics, "tuner_worker_device_memory_used_bytes", **first) == 20
    assert figure(metrics, "tuner_worker_device_memory_bytes", device="cuda:1", model="H100") is None


def test_they_are_served_as_long_as_the_worker_works(metrics):
    port = free_port()
    address = f"http://127.0.0.1:{port}/metrics"
    with metrics.served(host="127.0.0.1", port=port), urllib.request.urlopen(address) as response:
        text = response.read().decode()
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"tuner_worker_claim_seconds", "tuner_worker_updates", "tuner_worker_device_memory_bytes"} <= names
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address)


def test_a_port_that_is_taken_is_refused_with_what_to_do(metrics):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(InvalidValue, match=r"metrics_port must be free on 127\.0\.0\.1 .* a port of its own"),
            metrics.served(host="127.0.0.1", port=port),
        ):
            pass


def test_port_0_serves_nothing(metrics):
    with metrics.served(host="not an address", port=0):
        pass
