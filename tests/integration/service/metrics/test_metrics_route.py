"""``/metrics`` as Prometheus scrapes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.service.world import World
from tuner import __version__
from tuner.errors import DatabaseUnavailable
from tuner.people.permissions import Principal, Role
from tuner.store import Store
from tuner_service.access import principal
from tuner_service.app import create_app
from tuner_service.settings import Settings


@pytest.fixture
def app(settings: Settings, store: Store) -> FastAPI:
    return create_app(settings, store=store)


@pytest.fixture
def api(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1:8642", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def scrape(api: TestClient) -> Callable[..., float | None]:
    """The value of one sample."""

    def scrape(name: str, **labels: str) -> float | None:
        text = api.get("/metrics").text
        found = [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ]
        assert len(found) <= 1
        return found[0] if found else None

    return scrape


def test_prometheus_can_read_it(api: TestClient, world: World):
    world.job(team="default")
    answer = api.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert all(family.documentation for family in families.values())
    (jobs,) = families["tuner_jobs"].samples
    assert (jobs.labels, jobs.value) == ({"team": "default", "state": "queued"}, 1)


def test_it_reports_the_version(scrape: Callable[..., float | None]):
    assert scrape("tuner_service_info", version=__version__) == 1


def test_two_applications_in_one_process_do_not_mix(settings: Settings, store: Store):
    create_app(settings, store=store)
    create_app(settings, store=store)


class TestLatency:
    def count(self, scrape: Callable[..., float | None], **labels: str) -> float | None:
        return scrape("tuner_http_request_seconds_count", **labels)

    def test_requests_are_counted_by_the_template_of_their_route(
        self, api: TestClient, world: World, scrape: Callable[..., float | None]
    ):
        for job in (world.job(), world.job()):
            assert api.get(f"/v1/jobs/{job.id}").status_code == 200
        api.get("/v1/jobs/nothing")
        assert self.count(scrape, method="GET", route="/v1/jobs/{job_id}", status="200") == 2
        assert self.count(scrape, method="GET", route="/v1/jobs/{job_id}", status="404") == 1

    def test_what_clients_make_up_makes_no_labels(self, api: TestClient, scrape: Callable[..., float | None]):
        for number in range(5):
            api.get(f"/made/up/{number}")
        api.request("BREW", "/v1/jobs")
        assert self.count(scrape, method="GET", route="(none)", status="404") == 5
        assert "BREW" not in api.get("/metrics").text

    def test_what_is_refused_before_it_is_routed_counts_too(self, api: TestClient, scrape: Callable[..., float | None]):
        assert api.get("/v1/jobs", headers={"Host": "evil.example"}).status_code == 421
        assert self.count(scrape, method="GET", route="(none)", status="421") == 1

    def test_internal_errors_count_too(
        self, api: TestClient, store: Store, scrape: Callable[..., float | None], monkeypatch: pytest.MonkeyPatch
    ):
        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("broken")

        with monkeypatch.context() as patched:
            patched.setattr(store.workers, "workloads", broken)
            assert api.get("/v1/workloads").status_code == 500
        assert self.count(scrape, method="GET", route="/v1/workloads", status="500") == 1


def test_while_the_database_is_away_the_other_metrics_are_served(
    api: TestClient, store: Store, scrape: Callable[..., float | None], monkeypatch: pytest.MonkeyPatch
):
    def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("connection refused")

    api.get("/healthz")
    monkeypatch.setattr(store.metrics, "gauges", away)
    assert api.get("/metrics").status_code == 200
    assert scrape("tuner_database_up") == 0
    assert scrape("tuner_http_request_seconds_count", method="GET", route="/healthz", status="200") == 1


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("team", "status"), [(None, 200), ("vision", 403)])
def test_only_tokens_for_every_team_may_read_it(
    app: FastAPI, api: TestClient, role: Role, team: str | None, status: int
):
    who = Principal(user="prometheus", team=team, role=role, token_id=None)

    def somebody(request: Request) -> Any:
        return who

    app.dependency_overrides[principal] = somebody
    assert api.get("/metrics").status_code == status


def test_where_people_log_in_it_needs_a_token(settings: Settings, store: Store):
    guarded = create_app(settings.model_copy(update={"auth": "on"}), store=store)
    with TestClient(guarded, base_url="http://127.0.0.1:8642") as api:
        assert api.get("/metrics").status_code == 401
