"""Every command of the container files, run: what builds the images here, what the containers do on loopback.

No engine is needed: paths, ports and hosts of a container become those of a temporary folder and of this machine.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.integration.store.postgres_server import PostgresServer, client_programs
from tests.unit.deploy.container_files import ROOT, compose, stages
from tuner.store import Store
from tuner.store.maintenance.migrate import is_current

SECONDS = 90.0
BIN = Path(sys.executable).parent
TARGETS = {"roles": "service", "migrate": "service", "api": "service", "worker": "worker", "worker-gpu": "worker"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Containers:
    """Runs on this machine what docker-compose.yml runs in containers."""

    folder: Path
    database_url: str
    ports: dict[str, str]

    def environment(self, service: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TUNER_", "PG"))}
        given = compose()["services"][service].get("environment", {})
        ours = {**stages()[TARGETS[service]].environment, **{name: str(value) for name, value in given.items()}}
        ours.pop("PATH")
        return {**inherited, "PATH": f"{BIN}:{os.environ['PATH']}", **{k: self.here(v) for k, v in ours.items()}}

    def command(self, service: str) -> list[str]:
        stage = stages()[TARGETS[service]]
        command = compose()["services"][service].get("command") or stage.last_list("CMD")
        return [*self.entrypoint(stage.last_list("ENTRYPOINT")), *map(self.here, command)]

    def health(self, service: str) -> list[str]:
        return [self.here(part) for part in stages()[TARGETS[service]].last_list("HEALTHCHECK")]

    def entrypoint(self, given: list[str]) -> list[str]:
        assert given == ["tuner-entrypoint"]
        return [str(ROOT / "deploy/entrypoint.sh")]

    def here(self, value: str) -> str:
        """A value of a container's, as it is on this machine."""
        if url := re.fullmatch(r"postgresql://(\w+)@postgres/tuner", value):
            return self.url_as(url[1])
        if value == "0.0.0.0":
            return "127.0.0.1"
        for old, new in {
            "/data": f"{self.folder}/data",
            "/run/secrets": f"{self.folder}/secrets",
            **self.ports,
        }.items():
            value = value.replace(old, new)
        return value

    def url_as(self, role: str) -> str:
        """The database's URL for a role of the compose file; the server's superuser may have another name here."""
        superuser = make_url(self.database_url)
        return (superuser if role == "postgres" else superuser.set(username=role)).render_as_string(hide_password=False)

    def run_to_its_end(self, service: str) -> None:
        assert self.start(service).wait(timeout=SECONDS) == 0, self.log(service)

    def start(self, service: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{service}.log").open("wb") as log:
            return subprocess.Popen(
                self.command(service),
                env=self.environment(service),
                cwd=self.folder / "data",
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()

    def wait_until_healthy(self, service: str, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + SECONDS
        while subprocess.run(self.health(service), env=self.environment(service), capture_output=True).returncode != 0:
            assert process.poll() is None, self.log(service)
            assert time.monotonic() < deadline, self.log(service)
            time.sleep(0.1)


@pytest.fixture
def containers(postgres: PostgresServer, tmp_path: Path) -> Iterator[Containers]:
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "deploy/make-secrets.sh", tmp_path)
    subprocess.run(["sh", "make-secrets.sh"], cwd=tmp_path, check=True, capture_output=True)
    url = postgres.create()
    ports = {"8642": str(free_port()), "9464": str(free_port())}
    yield Containers(tmp_path, make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), ports)
    postgres.drop(url)


@pytest.mark.pg
def test_the_stack_of_the_compose_file_comes_up_works_and_goes_down(containers: Containers) -> None:
    for name in ("roles", "migrate", "roles", "migrate"):
        containers.run_to_its_end(name)
    assert is_current(containers.database_url)
    with ExitStack() as stack:
        running = {}
        for service in ("api", "worker"):
            running[service] = containers.start(service)
            stack.callback(running[service].kill)
            containers.wait_until_healthy(service, running[service])
        token = (containers.folder / "data/admin-token").read_text().strip()
        assert token.startswith("stt_")
        with closing(Store.open(containers.database_url)) as store:
            deadline = time.monotonic() + SECONDS
            while [worker.device for worker in store.workers.workers()] != ["cpu"]:
                assert running["worker"].poll() is None, containers.log("worker")
                assert time.monotonic() < deadline, containers.log("worker")
                time.sleep(0.1)
            assert store.workers.workloads()
        for service in reversed(running):
            running[service].terminate()
            assert running[service].wait(timeout=30) == 0, containers.log(service)


def test_a_worker_for_a_gpu_says_that_there_is_none(containers: Containers) -> None:
    for name in ("roles", "migrate"):
        containers.run_to_its_end(name)
    command, environment = containers.command("worker-gpu"), containers.environment("worker-gpu")
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has GPUs")
    done = subprocess.run(command, env=environment, cwd=containers.folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "cuda:0" in done.stdout + done.stderr


@pytest.mark.pg
def test_the_servers_command_and_health_check_are_its_own(postgres: PostgresServer, tmp_path: Path) -> None:
    service = compose()["services"]["postgres"]
    url = postgres.create()
    parsed = make_url(url)
    environment = {**os.environ, "PATH": f"{client_programs()}:{os.environ['PATH']}"}
    where = str(parsed.query.get("host") or parsed.host)
    check = [part.replace("127.0.0.1", where) for part in service["healthcheck"]["test"]]
    assert check[0] == "CMD"
    subprocess.run(check[1:], env=environment, check=True, capture_output=True)
    name, *options = service["command"]
    program = client_programs() / name
    if not program.exists() or (os.geteuid() == 0 and not os.access(program, os.X_OK)):
        pytest.skip("no server program beside the client's")
    assert all(re.fullmatch(r"\w+=\w+", option) for option in options[1::2])
    assert set(options[::2]) == {"-c"}
    with closing(Store.open(url, migrate=True)) as store:
        assert store.now() > 0
    postgres.drop(url)


@pytest.mark.parametrize("target", ["service", "worker"])
def test_the_images_can_be_built_from_what_they_copy(target: str, tmp_path: Path) -> None:
    """The build's own steps in an empty folder, the two installations without what they would download."""
    stage = stages()[f"build-{target}"]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PIP_CONFIG_FILE": os.devnull}
    site = tmp_path / "site"
    (tmp_path / "src").mkdir()
    for word, arguments in stage.instructions:
        if word == "COPY":
            *sources, where = arguments.split()
            for source in sources:
                to = tmp_path / "src" / where
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / source, to)
        elif word == "RUN" and not arguments.startswith("python -m venv"):
            offline = f"--no-index --no-deps --no-build-isolation --quiet --upgrade --target {site}"
            command = arguments.replace("pip install", f"python -m pip install {offline}")
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=tmp_path / "src",
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    built = {path.relative_to(site) for path in site.rglob("*.py")}
    tracked = {
        path.relative_to((ROOT / home).parent)
        for home in ("tuner", "service/tuner_service", "worker/tuner_worker", "migrations/tuner_migrations")
        for path in (ROOT / home).rglob("*.py")
    }
    assert built == tracked


@pytest.mark.parametrize("program", ["useradd", "install"])
def test_the_options_of_what_prepares_the_image_exist(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} on this machine")
    known = subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout
    (command,) = stages()["base"].all("RUN")
    for part in command.split("&&"):
        if part.split()[0] == program:
            assert all(option in known for option in re.findall(r"--[a-z-]+", part))


def test_the_entrypoint_reads_the_password_from_its_file_and_passes_on_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a b'c\n")
    show = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('PG')}))"
    command = [str(ROOT / "deploy/entrypoint.sh"), sys.executable, "-c", show]
    environment = {"PGPASSWORD_FILE": str(tmp_path / "secret")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"PGPASSWORD": "a b'c"}
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {}
    refused = subprocess.run(command, env={"PGPASSWORD_FILE": "/none"}, capture_output=True, check=False)
    assert refused.returncode != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="the worker's container starts as root")
def test_a_workers_container_becomes_a_user_who_may_become_the_runners_and_nobody_else(tmp_path: Path) -> None:
    """With the capabilities of the compose file alone, and with users of this machine for those of the image."""
    script = tmp_path / "entrypoint.sh"
    text = (ROOT / "deploy/entrypoint.sh").read_text()
    script.write_text(text.replace("tuner-runner", "daemon").replace("=tuner ", "=games "))
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o400)
    os.chown(secret, 12345, 12345)
    given = ",".join(f"+{name.lower()}" for name in compose()["services"]["worker"]["cap_add"])
    container = ["setpriv", f"--bounding-set=-all,{given}", "--no-new-privs", "sh", str(script)]
    show = "import json, os; print(json.dumps([os.getuid(), dict(os.environ), open('/proc/self/status').read()]))"
    done = subprocess.run(
        [*container, "/usr/bin/python3", "-c", show],
        env={"PATH": os.environ["PATH"], "PGPASSWORD_FILE": str(secret)},
        capture_output=True,
        text=True,
        check=True,
    )
    uid, environment, status = json.loads(done.stdout)
    assert uid == pwd.getpwnam("games").pw_uid
    assert (environment["PGPASSWORD"], environment["TUNER_RUNNER_USER"]) == ("s3cret", "daemon")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    assert int(effective, 16) == 1 << 5 | 1 << 6 | 1 << 7  # CAP_KILL, CAP_SETGID, CAP_SETUID


def test_secrets_are_made_once_and_for_nobody_else(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets.sh"
    shutil.copy(ROOT / "deploy/make-secrets.sh", script)
    subprocess.run(["sh", script], check=True, capture_output=True)
    first = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(first) == set(compose()["secrets"])
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in first.values())
    assert len(set(first.values())) == len(first)
    of_workers = tmp_path / "secrets/worker_password"
    assert of_workers.stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    subprocess.run(["sh", script], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == first
