"""docs/metrics.md lists all metrics, and the Grafana file shows no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tuner.devices import Device, DeviceKind
from tuner.store import Store
from tuner_service.metrics.latency import latency_histogram
from tuner_service.metrics.registry import new_registry
from tuner_worker.metrics import WorkerMetrics

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
PROMETHEUS_WORDS = {"le", "instance"}
LISTED = {
    name: (kind, set(labels.split(", ")) - {""})
    for name, kind, labels in re.findall(r"^\| `(tuner_\w+)` \| (\w+) \| ([\w, ]*?) ?\|", PAGE, flags=re.MULTILINE)
}


def families(registry: CollectorRegistry) -> Iterator[tuple[str, str]]:
    """Name and type of each metric of ours, as Prometheus calls them."""
    for family in registry.collect():
        if not family.name.startswith("process_"):
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            yield family.name + suffix, "gauge" if family.type == "info" else family.type


@pytest.fixture(scope="module")
def existing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Type by name, of all metrics of the service and of a worker."""
    with closing(Store.open(f"sqlite:///{tmp_path_factory.mktemp('metrics') / 'tuner.db'}")) as store:
        registry = new_registry(store)
        latency_histogram(registry)
        cpu = Device(name="cpu", torch_name="cpu", kind=DeviceKind.CPU, model="cpu")
        return {**dict(families(registry)), **dict(families(WorkerMetrics(cpu).registry))}


def test_every_metric_is_listed_with_its_type_and_no_other(existing: dict[str, str]):
    assert {name: kind for name, (kind, _) in LISTED.items()} == existing


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]


def queries() -> list[str]:
    variables = [one["definition"] for one in DASHBOARD["templating"]["list"] if "definition" in one]
    alerts = re.findall(r"^\| [^|`]+ \| `([^`]+)` \|$", PAGE, flags=re.MULTILINE)
    return [*expressions(), *variables, *[alert for alert in alerts if "tuner_" in alert]]


def family_of(sample: str) -> str:
    """The metric that a sample belongs to."""
    base = re.sub(r"_(bucket|sum|count)$", "", sample)
    return base if LISTED.get(base, ("", set()))[0] == "histogram" else sample


@pytest.mark.parametrize("query", queries())
def test_every_query_names_existing_metrics(query: str):
    names = {family_of(name) for name in re.findall(r"\btuner_\w+", query)}
    assert names
    assert names <= LISTED.keys()
    labels = PROMETHEUS_WORDS.union(*(LISTED[name][1] for name in names))
    grouped = {word.strip() for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for word in group.split(",")}
    selected = set(re.findall(r"(\w+)\s*(?:=~|!=|=|!~)\s*\"", query))
    assert (grouped - {""}) | selected <= labels


def test_the_dashboard_shows_every_metric_that_changes():
    shown = {family_of(name) for one in expressions() for name in re.findall(r"\btuner_\w+", one)}
    left_out = {"tuner_worker_queue_wait_seconds", "tuner_worker_training", "tuner_worker_device_memory_bytes"}
    assert shown == LISTED.keys() - left_out


def test_the_dashboard_can_be_imported():
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {"title", "uid", "schemaVersion", "templating", "time"} <= DASHBOARD.keys()
    taken = [
        (panel["gridPos"]["y"] + dy, panel["gridPos"]["x"] + dx)
        for panel in panels
        for dy in range(panel["gridPos"]["h"])
        for dx in range(panel["gridPos"]["w"])
    ]
    assert len(taken) == len(set(taken)), "panels lie over one another"
    assert max(x for _, x in taken) < 24
    for panel in panels:
        if panel["type"] != "row":
            assert panel["description"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
            assert all(target["expr"].count("(") == target["expr"].count(")") for target in panel["targets"])


def test_panels_about_the_queue_do_not_sum_over_services():
    own = ("tuner_worker_", "tuner_http_", "tuner_service_info", "process_")
    for expression in expressions():
        told_alike = [name for name in re.findall(r"\btuner_\w+", expression) if not name.startswith(own)]
        assert not told_alike or re.search(r"\b(max|min)\b", expression), expression
