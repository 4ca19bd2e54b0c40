"""HEAD, wherever GET is."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

from tests.integration.service.live import served
from tests.integration.service.world import World
from tuner.store import Store
from tuner_service.settings import Settings

PATHS = [
    "/",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/metrics",
    "/problems/not-found",
    "/dashboard",
    "/favicon.ico",
    "/api/studies",
    "/v1/jobs",
    "/v1/jobs/none",
    "/v1/queue",
    "/v1/workers",
    "/v1/me",
    "/nothing",
]


@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_status_and_the_headers_of_get_and_no_body(still: TestClient, path: str):
    get, head = (still.request(method, path, follow_redirects=False) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (get.status_code, b"")
    for name in ("content-type", "location", "cache-control", "www-authenticate"):
        assert head.headers.get(name) == get.headers.get(name)


def test_head_of_a_jobs_pages_and_of_its_streams_ends_at_once(settings: Settings, store: Store, world: World):
    job = world.completed()
    export = f"/v1/jobs/{job.id}/export?format=csv&total_steps=100000000"
    paths = [f"/v1/jobs/{job.id}{page}" for page in ("", "/trials", "/runs", "/report", "/events")]
    with (
        served(settings.model_copy(update={"port": 0}), store=store) as server,
        httpx2.Client(base_url=server.address) as client,
    ):
        dashboard = f"/v1/jobs/{job.id}/dashboard"
        assert client.head(dashboard).status_code == client.get(dashboard).status_code
        for path in [*paths, export, "/v1/events"]:
            head = client.head(path)
            assert (path, head.status_code, head.content) == (path, 200, b"")
            assert client.get("/healthz").status_code == 200  # on the same connection


def test_head_is_measured_under_its_route(api: TestClient, settings: Settings, tmp_path: Path):
    api.head("/v1/jobs/none")
    assert 'tuner_http_request_seconds_count{method="HEAD",route="/v1/jobs/{job_id}",status="404"}' in (
        api.get("/metrics").text
    )
