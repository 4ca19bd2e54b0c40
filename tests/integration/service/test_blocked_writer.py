"""Another process holds the write lock of the SQLite file: writes get 503 soon, and reads notice nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.digits import DIGITS, REQUEST
from tests.integration.service.live import served, service_process, wait_until
from tests.integration.service.team import VISION, as_user, settle
from tests.integration.service.world import World
from tuner.jobs.admission.admit import admit
from tuner.people.permissions import Actor
from tuner.store import Store
from tuner_service.settings import Settings

CLIENT_SECONDS = 30.0
"""The patience of the clients here: long enough for a busy machine, far below the two minutes of a worker's write."""


@contextmanager
def blocked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None, timeout=CLIENT_SECONDS)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_the_service_as_a_process_refuses_a_blocked_write_with_503(tmp_path: Path, empty_database: Path):
    file = tmp_path / "tuner.db"
    file.write_bytes(empty_database.read_bytes())
    with closing(Store.open(f"sqlite:///{file}")) as store:
        World(store)
        job = store.jobs.submit(admit(REQUEST, workloads=[DIGITS]))
    with service_process(tmp_path) as service, httpx2.Client(base_url=service.url, timeout=CLIENT_SECONDS) as http:
        with blocked(file):
            for method, path, body in (
                ("PATCH", f"/v1/jobs/{job.id}", {"name": "other"}),
                ("POST", "/v1/jobs", REQUEST),
                ("POST", f"/v1/jobs/{job.id}/pause", {}),
                ("DELETE", f"/v1/jobs/{job.id}", None),
            ):
                refused = http.request(method, path, json=body)
                assert (refused.status_code, refused.json()["type"]) == (503, "/problems/database-unavailable"), path
                assert int(refused.headers["Retry-After"]) > 0
            preview = http.post("/v1/jobs/preview", json=REQUEST)
            assert (preview.status_code, preview.json()["refusals"]) == (200, [])
            assert [one["id"] for one in http.get("/v1/jobs").json()["items"]] == [job.id]
        # A write of the service's own may still find out that the lock is free.
        rename = partial(http.patch, f"/v1/jobs/{job.id}", json={"name": "other"})
        wait_until(lambda: rename().status_code == 200, what="a write")
        assert http.get(f"/v1/jobs/{job.id}").json()["spec"]["name"] == "other"


@pytest.fixture
def hasty(settings: Settings) -> Iterator[Store]:
    """A store whose writes wait for a moment only."""
    with closing(Store.open(settings.database, patience=0.3)) as store:
        yield store


def test_reads_are_unhurt_while_more_writes_are_blocked_than_there_are_threads(
    settings: Settings, hasty: Store, tmp_path: Path
):
    job = World(hasty).job()
    with (
        served(settings.model_copy(update={"port": 0}), store=hasty) as server,
        httpx2.Client(base_url=server.address, timeout=CLIENT_SECONDS) as http,
        ThreadPoolExecutor(80) as pool,
        blocked(tmp_path / "tuner.db"),
    ):
        writes = [pool.submit(http.patch, f"/v1/jobs/{job.id}", json={"name": str(n)}) for n in range(80)]
        reads = [pool.submit(http.get, f"/v1/jobs/{job.id}") for _ in range(40)]
        assert {read.result().status_code for read in reads} == {200}
        assert {write.result().status_code for write in writes} == {503}


def test_a_read_with_a_token_that_was_not_used_lately_does_not_wait_to_record_its_use(
    settings: Settings, tmp_path: Path
):
    """With the patience of a worker: a write that waits would take two minutes."""
    with closing(Store.open(settings.database)) as store:
        team = settle(store)
        job = World(store).job(team=VISION, by=Actor(user="cleo"))
        guarded = settings.model_copy(update={"port": 0, "auth": "on"})
        with (
            served(guarded, store=store) as server,
            httpx2.Client(base_url=server.address, timeout=CLIENT_SECONDS, headers=as_user(team.cleo)) as http,
        ):
            with blocked(tmp_path / "tuner.db"):
                assert http.get(f"/v1/jobs/{job.id}").status_code == 200
            assert store.people.tokens(user="cleo")[0].last_used_at is None
