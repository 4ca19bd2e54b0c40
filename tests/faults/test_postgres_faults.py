"""The whole stack on PostgreSQL, a service and two workers as processes, while the server goes away and comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.faults.fault_workloads import Gated, Hostile
from tests.faults.harness import Gate, Site, site_in, wait_until
from tests.integration.store.postgres_server import PostgresServer, PrivateServer
from tests.integration.store.role_urls import roles_of, url_as
from tuner.jobs.states import RunState, is_terminal
from tuner.store.maintenance.migrate import upgrade
from tuner.store.maintenance.roles import make_roles
from tuner.training.workload import describe

pytestmark = [pytest.mark.faults, pytest.mark.pg]

PASSWORD = "a-secret-of-the-database"
SEARCH = {"total_steps": 60, "budget": 6, "prune": False}


@pytest.fixture
def site(server: PrivateServer, tmp_path: Path) -> Iterator[Site]:
    """A site over a database whose URLs hold a password (which the server does not ask for), with a role for each."""
    admin = PostgresServer(server.admin).create()
    roles = roles_of(admin, passwords=dict.fromkeys(("owner", "service", "worker"), PASSWORD))
    make_roles(admin, roles)
    upgrade(url_as(admin, roles.owner))
    urls = {"url": url_as(admin, roles.service), "worker_url": url_as(admin, roles.worker)}
    with site_in(tmp_path, infos=(describe(Gated()), describe(Hostile())), **urls) as site:
        yield site


@pytest.fixture
def gate(gate: Gate) -> Gate:
    """Holds the first runs, which are short, between two evaluations."""
    return Gate(folder=gate.folder, at_step=9)


@contextmanager
def service_over(site: Site) -> Iterator[httpx2.Client]:
    """``python -m tuner_service`` over the site's database, and a client of it."""
    with (site.folder / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tuner_service", "--port", "0", "--data-dir", str(site.folder)],
            env={**os.environ, "TUNER_DATABASE_URL": site.url, "TUNER_AUTH": "off"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "listens on" in line, (site.folder / "service.log").read_text()
        with httpx2.Client(base_url=line.split()[4], timeout=30) as client:
            yield client
    finally:
        process.kill()
        process.communicate()


def restart(server: PrivateServer, *, how: signal.Signals, site: Site) -> None:
    server.stop(how)
    for worker in site.workers:
        worker.wait_logged("database.unavailable")
    server.start()


def test_a_job_outlives_restarts_of_the_server_with_every_update_made_once(server, site, gate):
    with service_over(site) as client:
        request = {"workload": "gated", "options": gate.options, "search": SEARCH}
        submitted = client.post("/v1/jobs", json=request)
        assert submitted.status_code == httpx2.codes.CREATED, submitted.text
        job_id = submitted.json()["id"]
        for name in ("w1", "w2"):
            site.worker(name, lease_time=300, snapshot_interval=60)
        gate.wait_for_runner()
        wait_until(lambda: leased(site, job_id) == 2, what="both workers to train")

        restart(server, how=signal.SIGINT, site=site)  # in order, in the middle of two runs
        gate.open()
        wait_until(lambda: succeeded(site, job_id) >= 3, what="runs to end after the restart")
        restart(server, how=signal.SIGQUIT, site=site)  # a crash, at whatever moment
        wait_until(lambda: is_terminal(site.store.jobs.get(job_id).state), what="the end of the job")

        job = client.get(f"/v1/jobs/{job_id}").json()
        assert (job["state"], job["error"]) == ("completed", None)
        assert client.get(f"/v1/jobs/{job_id}/report").status_code == httpx2.codes.OK

    runs = site.store.runs.list(job_id).items
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert len({(run.trial_number, run.seed) for run in runs}) == len(runs)
    ended = Counter(event.data["run"] for event in told(site, job_id) if event.kind == "run.succeeded")
    assert ended == Counter(run.id for run in runs)
    assert sum(map(len, gate.steps_by_process().values())) == sum(run.total_steps - run.shared_updates for run in runs)
    assert_no_password(site)


def test_the_database_password_is_in_nothing_that_a_run_printed(site):
    (site.folder / "secrets").write_text(f"URL=postgresql://tuner:{PASSWORD}@db/tuner\nPASSWORD={PASSWORD}\n")
    run_id = site.enqueue("hostile", options={"how": "tell_secrets", "folder": str(site.folder)})
    site.worker()
    assert site.wait_over(run_id).state is RunState.SUCCEEDED
    printed = "".join(chunk.text for chunk in site.store.runs.log(run_id))
    assert "URL=postgresql" in printed
    assert PASSWORD not in printed


def leased(site: Site, job_id: str) -> int:
    return sum(run.state is RunState.LEASED for run in site.store.runs.list(job_id).items)


def succeeded(site: Site, job_id: str) -> int:
    return sum(run.state is RunState.SUCCEEDED for run in site.store.runs.list(job_id).items)


def told(site: Site, job_id: str) -> list[Any]:
    events: list[Any] = []
    while page := site.store.events.after(events[-1].id if events else 0, job_id=job_id):
        events += page
    return events


def assert_no_password(site: Site) -> None:
    """Neither the service nor the workers have written it anywhere."""
    for log in site.folder.rglob("*.log"):
        assert PASSWORD not in log.read_text(), log
