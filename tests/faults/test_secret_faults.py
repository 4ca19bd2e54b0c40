"""Training code looks for the database's password, under workers that are no root, on PostgreSQL."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from tests.faults.fault_workloads import Hostile
from tests.faults.harness import Site, WorkerProcess, is_alive, site_in, wait_until
from tests.faults.spy_workload import Spy
from tests.integration.store.postgres_server import NOBODY, QUICK, PostgresServer, private_server
from tests.integration.store.role_urls import roles_of, url_as
from tuner.jobs.states import RunState
from tuner.store.maintenance.migrate import upgrade
from tuner.store.maintenance.roles import make_roles
from tuner.training.workload import describe

pytestmark = [
    pytest.mark.faults,
    pytest.mark.pg,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can start a worker as others"),
]

WORKLOADS = "tests.faults.spy_workload:Spy,tests.faults.fault_workloads:Hostile"


def user(*names: str) -> pwd.struct_passwd:
    """The first of these users that this machine has."""
    for name in names:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.skip(f"none of the users {', '.join(names)} is on this machine")


@dataclass(frozen=True)
class Secrets:
    site: Site
    passwords: Mapping[str, str]
    url: str
    """Of the superuser."""


@pytest.fixture
def searched() -> Iterator[Secrets]:
    """A database that asks for passwords, and a data folder where any user may come by."""
    if os.environ.get("TUNER_TEST_NO_PG") == "1":
        pytest.skip("TUNER_TEST_NO_PG=1")
    passwords = {role: f"needle-{secrets.token_hex(8)}" for role in ("postgres", "owner", "service", "worker")}
    folder = Path(tempfile.mkdtemp(prefix="tuner-secrets-", dir="/tmp"))
    folder.chmod(0o755)
    with private_server(QUICK, password=passwords["postgres"]) as server:
        Path(str(server.admin.query["host"])).chmod(0o711)  # its socket is there
        url = PostgresServer(server.admin).create()
        roles = roles_of(url, passwords=passwords)
        make_roles(url, roles)
        upgrade(url_as(url, roles.owner))
        try:
            with site_in(
                folder,
                infos=(describe(Spy()), describe(Hostile())),
                url=url_as(url, roles.service),
                worker_url=url_as(url, roles.worker),
            ) as site:
                yield Secrets(site, passwords, url)
        finally:
            shutil.rmtree(folder)


def readable_python() -> tuple[str, dict[str, str]]:
    """An interpreter that any user may read, and what it needs in its environment."""
    packages = (path for path in sys.path if path and not path.startswith(sys.base_prefix))
    environment = {"PYTHONPATH": os.pathsep.join(packages)}
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        probe = [python, "-c", "import tuner, torch"]
        with suppress(PermissionError):
            if subprocess.run(probe, env=environment, check=False, **as_user(NOBODY, gid=NOBODY)).returncode == 0:
                break
    else:
        pytest.skip("other users can read neither this Python nor one like it")
    return python, environment


def start(
    site: Site,
    who: Mapping[str, Any],
    *before: str,
    environment: Mapping[str, str] | None = None,
    **settings: object,
) -> WorkerProcess:
    """Start a worker as somebody else."""
    python, needed = readable_python()
    worker = WorkerProcess(
        site,
        name="w1",
        settings={"workloads": WORKLOADS, **settings},
        who=who,
        python=(*before, python),
        environment={**needed, **(environment or {})},
    )
    site.workers.append(worker)
    return worker


def spied(site: Site, folder: Path) -> dict[str, list[str]]:
    run_id = site.enqueue("spy", options={"folder": str(folder)}, total_steps=10)
    run = site.wait_over(run_id)
    assert run.state is RunState.SUCCEEDED, run.error
    found: dict[str, list[str]] = json.loads((folder / "found.json").read_text())
    return found


def as_user(uid: int, *, gid: int) -> dict[str, Any]:
    return {"user": uid, "group": gid, "extra_groups": []}


def modes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): oct(path.lstat().st_mode & 0o777) for path in folder.rglob("*")}


@pytest.mark.parametrize("password_in", ["the URL", "PGPASSWORD"])
def test_code_of_the_workers_own_user_finds_no_password_in_any_process(searched: Secrets, password_in: str) -> None:
    site, entry = searched.site, user("games", "daemon")
    os.chown(site.folder, entry.pw_uid, entry.pw_gid)
    more = {}
    if password_in == "PGPASSWORD":
        password = searched.passwords["worker"]
        site.worker_url = site.worker_url.replace(f":{password}@", "@")
        more = {"PGPASSWORD": password}
    worker = start(site, as_user(entry.pw_uid, gid=entry.pw_gid), environment=more)

    found = spied(site, site.folder)

    assert found.pop("me") == [str(entry.pw_uid), str(entry.pw_gid)]
    assert found.pop("worker") == [str(worker.process.pid)]
    assert str(worker.process.pid) not in found.pop("traced")
    assert str(worker.process.pid) not in found.pop("descriptors")
    assert {place: seen for place, seen in found.items() if seen} == {}
    assert_private(site)


@pytest.mark.parametrize("as_root", [True, False])
def test_code_of_another_user_than_the_workers_sees_none_of_its_files(searched: Secrets, as_root: bool) -> None:
    site, entry, runner = searched.site, user("games", "sys"), user("daemon", "bin")
    (site.folder / "pgpass").write_text(searched.passwords["worker"])
    (site.folder / "pgpass").chmod(0o600)
    drop = Path(tempfile.mkdtemp(prefix="tuner-spy-", dir="/tmp"))
    os.chown(drop, runner.pw_uid, runner.pw_gid)
    who: dict[str, Any] = {}
    before: tuple[str, ...] = ()
    if not as_root:
        os.chown(site.folder, entry.pw_uid, entry.pw_gid)
        os.chown(site.folder / "pgpass", entry.pw_uid, entry.pw_gid)
        capabilities = "-all,+setuid,+setgid,+kill"
        before = (
            *("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", f"--groups={runner.pw_gid}"),
            *("--no-new-privs", f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"),
        )
    site.folder.chmod(0o700)
    worker = start(site, who, *before, runner_user=runner.pw_name)
    try:
        found = spied(site, drop)
        assert found.pop("me") == [str(runner.pw_uid), str(runner.pw_gid)]
        assert str(worker.process.pid) not in found.pop("traced")
        assert str(worker.process.pid) not in found.pop("descriptors")
        assert found.pop("worker") == [str(worker.process.pid)]
        assert {place: seen for place, seen in found.items() if seen} == {}
    finally:
        shutil.rmtree(drop)


@pytest.mark.parametrize("as_root", [True, False])
def test_a_worker_ends_what_code_of_another_user_has_started(searched: Secrets, as_root: bool) -> None:
    site, entry, runner = searched.site, user("games", "sys"), user("daemon", "bin")
    drop = Path(tempfile.mkdtemp(prefix="tuner-spy-", dir="/tmp"))
    os.chown(drop, runner.pw_uid, runner.pw_gid)
    before: tuple[str, ...] = ()
    if not as_root:
        os.chown(site.folder, entry.pw_uid, entry.pw_gid)
        capabilities = "-all,+setuid,+setgid,+kill"
        before = (
            *("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", f"--groups={runner.pw_gid}"),
            *("--no-new-privs", f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"),
        )
    worker = start(site, {}, *before, runner_user=str(runner.pw_uid))
    try:
        worker.wait_logged("runner.ready")
        runner_pid = worker.logged("runner.ready")[-1]["pid"]
        run_id = site.enqueue("hostile", options={"how": "leave_children", "folder": str(drop)})
        assert site.wait_over(run_id).state is RunState.SUCCEEDED
        children = [int(line) for line in (drop / "pids").read_text().split()]
        assert children
        wait_until(lambda: not any(map(is_alive, children)), what="the end of what the run has left")
        worker.kill()
        wait_until(lambda: not is_alive(runner_pid), what="the end of the runner with its worker")
        assert site.snapshots_on_disk() == []
    finally:
        shutil.rmtree(drop)


def test_code_under_tuner_up_finds_no_password_of_the_service_or_of_tuner_up(searched: Secrets) -> None:
    """All of them run as one user, and the command line of the one has the password."""
    site, entry = searched.site, user("games", "daemon")
    os.chown(site.folder, entry.pw_uid, entry.pw_gid)
    python, environment = readable_python()
    command = [python, "-c", "from tuner.cli.main import main; main()", "up", "--auth", "off", "--device", "cpu"]
    command += ["--port", "0", "--data-dir", str(site.folder), "--database-url", site.url]
    command += ["--workload", WORKLOADS.split(",")[0]]
    with (site.folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={
                **environment,
                "PATH": os.environ["PATH"],
                "TUNER_SECRET_KEY": f"needle-{secrets.token_hex(8)}{'x' * 32}",
            },
            stdout=log,
            stderr=log,
            **as_user(entry.pw_uid, gid=entry.pw_gid),
        )
    try:
        wait_until(
            lambda: any(worker.alive for worker in site.store.workers.workers()),
            what=f"a worker: {(site.folder / 'up.log').read_text()}",
            seconds=120,
        )
        found = spied(site, site.folder)
        assert (found.pop("me"), len(found.pop("worker"))) == ([str(entry.pw_uid), str(entry.pw_gid)], 1)
        assert {place: seen for place, seen in found.items() if seen} == {}
    finally:
        process.terminate()
        process.wait(60)


def test_whoever_has_the_workers_password_reads_no_token(searched: Secrets) -> None:
    roles = roles_of(searched.url, passwords=searched.passwords)
    as_worker = make_url(url_as(searched.url, roles.worker)).set(drivername="postgresql")
    with closing(psycopg.connect(as_worker.render_as_string(hide_password=False), autocommit=True)) as connection:
        assert connection.execute("SELECT count(*) FROM tuner_jobs").fetchone() == (0,)
        for table in ("tuner_tokens", "tuner_users", "tuner_sessions", "tuner_webhooks", "pg_authid"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT 1 FROM {table}".encode())
    for name in ("postgres", roles.service.name, roles.worker.name):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host=str(as_worker.query["host"]), user=name, dbname=as_worker.database)


@pytest.mark.parametrize(
    ("runner_user", "allowed"),
    [
        ("root", "another user"),
        ("no-such-user", "a user of this machine"),
        ("games", "another user"),
        ("daemon", "may become"),
    ],
)
def test_a_user_that_the_worker_cannot_become_is_refused(searched: Secrets, runner_user: str, allowed: str) -> None:
    site, entry = searched.site, user("games")
    os.chown(site.folder, entry.pw_uid, entry.pw_gid)
    worker = start(site, as_user(entry.pw_uid, gid=entry.pw_gid), runner_user=runner_user)
    assert worker.wait() == 2
    assert allowed in worker.logged("worker.failed")[-1]["reason"]


def assert_private(site: Site) -> None:
    """Nobody else can read what the worker and its runner have written into the data folder."""
    written = {
        path: mode
        for path, mode in modes(site.folder).items()
        if path.split("/")[0] in ("logs", "snapshots", "workers")
    }
    assert any(path.endswith("stderr.log") for path in written)
    assert {path: mode for path, mode in written.items() if int(mode, 8) & 0o077} == {}
