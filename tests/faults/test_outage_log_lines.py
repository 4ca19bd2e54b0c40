"""An outage of PostgreSQL in the logs: a line when it begins and one when it ends, and nothing in the server's own."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.digits import DIGITS, REQUEST
from tests.faults.harness import Site, site_in, wait_until
from tests.faults.test_postgres_faults import service_over
from tests.integration.service.world import World
from tests.integration.store.postgres_server import PostgresServer, PrivateServer
from tuner.search.optuna.study import Study
from tuner.store import Store
from tuner.store.maintenance.migrate import upgrade

pytestmark = [pytest.mark.faults, pytest.mark.pg]


@pytest.fixture
def site(server: PrivateServer, tmp_path: Path) -> Iterator[Site]:
    url = PostgresServer(server.admin).create()
    upgrade(url)
    with site_in(tmp_path, infos=(DIGITS,), url=url) as site:
        yield site


def lines_of(file: Path) -> list[dict[str, Any]]:
    """The log lines of a service; a traceback would be several lines of no JSON."""
    whole, _, _ = file.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def test_an_outage_is_two_lines_of_each_process_whatever_it_does_meanwhile(server: PrivateServer, site: Site):
    log = site.folder / "service.log"

    def logged(event: str) -> int:
        return sum(line["event"] == event for line in lines_of(log))

    worker = site.worker("w1")
    worker.wait_logged("worker.started")
    with service_over(site) as client:
        assert client.get("/readyz").status_code == 200
        server.stop(signal.SIGQUIT)
        wait_until(lambda: logged("database.unavailable") > 0, what="the outage to be noticed")
        worker.wait_logged("database.unavailable")
        for path in ("/readyz", "/v1/jobs", "/v1/queue", "/metrics", "/api/studies", "/dashboard/studies/1"):
            client.get(path)
        assert client.get("/v1/jobs").status_code == 503
        assert client.get("/api/studies/1").status_code == 503
        server.start()
        wait_until(lambda: client.get("/readyz").status_code == 200, what="the service to be ready again")
        wait_until(lambda: logged("database.available") > 0, what="the end of the outage to be noticed")
        worker.wait_logged("database.available")
        lines = [line for line in lines_of(log) if line["event"] != "request.ended"]
    found = Counter(line["event"] for line in lines)
    assert (found["database.unavailable"], found["database.available"]) == (1, 1)
    assert not [line for line in lines if "exception" in line or line["level"] in ("error", "critical")]
    assert len(worker.logged("database.unavailable")) == len(worker.logged("database.available")) == 1


def test_planning_an_existing_study_leaves_no_error_in_the_log_of_the_server(server: PrivateServer, site: Site):
    with closing(Store(site.url)) as store:
        world = World(store)
        job = world.worked_off(world.job(search=REQUEST["search"] | {"budget": 3}))
        assert job.state == "completed"
        for _ in range(2):  # as further planning steps open it
            Study.open(store.optuna_storage(), name=job.id, settings=job.spec.search, metric=job.metric)
    assert "ERROR" not in (server._folder / "log").read_text()
