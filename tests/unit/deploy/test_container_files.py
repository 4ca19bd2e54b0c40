"""The container files hold together, and promise what docs/operations.md says of them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.unit.deploy.container_files import INSTRUCTIONS, ROOT, compose, stages

OURS = ("roles", "migrate", "api", "worker", "worker-gpu")
MAY = {
    "roles": {"DAC_READ_SEARCH"},
    "worker": {"DAC_READ_SEARCH", "KILL", "SETGID", "SETUID"},
    "worker-gpu": {"DAC_READ_SEARCH", "KILL", "SETGID", "SETUID"},
}
"""Capabilities of what starts as root."""


def test_the_compose_file_is_one() -> None:
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, "docker-compose.yml"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_instruction_of_the_dockerfile_is_known() -> None:
    assert {word for stage in stages().values() for word, _ in stage.instructions} <= INSTRUCTIONS


def test_everything_that_a_service_names_is_declared() -> None:
    file = compose()
    for name, service in file["services"].items():
        assert set(service.get("secrets", ())) <= set(file["secrets"]), name
        assert set(service.get("networks", ())) <= set(file["networks"]), name
        assert {volume.split(":")[0] for volume in service.get("volumes", ())} <= set(file["volumes"]), name
        for other, how in service.get("depends_on", {}).items():
            assert other in file["services"], name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in file["services"][other]
        if "build" in service:
            assert service["build"]["target"] in stages()


def test_every_image_of_ours_is_built_here() -> None:
    services = compose()["services"]
    built = {service["image"] for service in services.values() if "build" in service}
    assert built == {services[name]["image"] for name in OURS}


def test_a_secret_that_is_used_is_given_to_the_container() -> None:
    for name, service in compose()["services"].items():
        for value in map(str, service.get("environment", {}).values()):
            if value.startswith("/run/secrets/"):
                assert Path(value).name in service["secrets"], name


def test_there_is_no_password_in_the_files() -> None:
    for name, service in compose()["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable):
                assert str(value).startswith("/run/secrets/"), (name, variable)
        assert not re.search(r"://[^/@]*:[^/@]*@", str(service)), name
    ignored = subprocess.run(["git", "check-ignore", "deploy/secrets/secret_key"], cwd=ROOT, check=False)
    assert ignored.returncode in {0, 128}  # 128: not a git checkout


def test_what_starts_as_root_may_read_its_password_and_become_its_users_and_nothing_more() -> None:
    assert {target: stages()[target].all("USER")[-1] for target in ("service", "worker")} == {
        "service": "tuner",
        "worker": "root",
    }
    for name in OURS:
        service = compose()["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert set(service.get("cap_add", ())) == MAY.get(name, set())
        assert service.get("user") == ("root" if name == "roles" else None)
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service


def test_everything_of_ours_is_read_only_and_has_limits() -> None:
    for name in OURS:
        service = compose()["services"][name]
        assert service["read_only"] is True
        assert any(part.startswith("/tmp") for part in service["tmpfs"])
        assert service["pids_limit"] > 0
    assert all("mem_limit" in compose()["services"][name] for name in ("postgres", "api", "worker", "worker-gpu"))


def test_each_role_has_its_own_password_and_the_superusers_is_for_making_roles_alone() -> None:
    services = compose()["services"]
    passwords = {name: {one for one in services[name].get("secrets", ()) if "password" in one} for name in services}
    makes_roles = passwords.pop("roles")
    assert passwords.pop("postgres") == {"superuser_password"}
    assert passwords == {
        "migrate": {"owner_password"},
        "api": {"service_password"},
        "worker": {"worker_password"},
        "worker-gpu": {"worker_password"},
    }
    assert makes_roles == {"superuser_password", "owner_password", "service_password", "worker_password"}
    users = {name: services[name]["environment"]["TUNER_DATABASE_URL"].split("@")[0] for name in passwords}
    assert users["worker"] == users["worker-gpu"] == "postgresql://tuner_worker"
    assert (users["migrate"], users["api"]) == ("postgresql://tuner_owner", "postgresql://tuner_service")


def test_every_image_from_elsewhere_can_be_pinned_to_a_digest() -> None:
    pinned = {"TUNER_POSTGRES_IMAGE": "postgres@sha256:0", "TUNER_PYTHON_IMAGE": "python@sha256:1"}
    file = compose(pinned)
    assert file["services"]["postgres"]["image"] == "postgres@sha256:0"
    for name in ("roles", "worker"):
        assert file["services"][name]["build"]["args"] == {"PYTHON_IMAGE": "python@sha256:1"}
    assert {stage.parent for stage in stages().values()} <= {"${PYTHON_IMAGE}", *stages()}


def test_the_database_is_on_a_network_of_its_own_and_the_service_on_loopback() -> None:
    file = compose()
    assert file["services"]["postgres"]["networks"] == ["database"]
    assert file["networks"]["database"] == {"internal": True}
    published = [port for service in file["services"].values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_gpu_is_for_those_who_ask_for_it() -> None:
    services = compose()["services"]
    assert [name for name, service in services.items() if "profiles" in service] == ["worker-gpu"]
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "device_ids": ["0"], "capabilities": ["gpu"]}


def test_the_connections_of_everybody_fit_into_the_server() -> None:
    from tuner.store.db.engine import MAX_OVERFLOW, POOL_SIZE

    assert POOL_SIZE + MAX_OVERFLOW == 40
    assert "max_connections=200" in compose()["services"]["postgres"]["command"]


def test_what_an_image_is_made_of_is_let_through_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_through = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for stage in stages().values()
        for arguments in stage.all("COPY")
        if "--from" not in arguments
        for source in [part for part in shlex.split(arguments) if not part.startswith("--")][:-1]
    }
    assert copied == let_through
    assert all((ROOT / source).exists() for source in copied)


def test_the_service_has_no_torch_and_the_extras_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {}
    for name in ("service", "worker"):
        install = next(line for line in stages()[f"build-{name}"].all("RUN") if "--constraint" in line)
        (found,) = re.findall(r"\.\[([\w,]+)\]", install)
        wanted[name] = set(found.split(","))
        assert wanted[name] <= set(extras)
        assert f"build-{name}" in stages()[name].all("COPY")[-1]
    assert wanted == {"service": {"service", "postgres"}, "worker": {"worker", "postgres"}}
    assert any(requirement.startswith("torch") for requirement in extras["worker"])


@pytest.mark.parametrize("name", ["base", "build", "service", "build-worker"])
def test_the_shell_understands_what_a_build_runs(name: str) -> None:
    for command in stages()[name].all("RUN"):
        subprocess.run(["sh", "-n", "-c", command], check=True)


def test_ports_and_health_checks_fit_each_other() -> None:
    for target, port in (("service", "TUNER_PORT"), ("worker", "TUNER_METRICS_PORT")):
        stage = stages()[target]
        assert stage.all("EXPOSE") == [stage.environment[port]]
        assert stage.environment[port] in " ".join(stage.last_list("HEALTHCHECK"))
    assert compose()["services"]["api"]["ports"] == ["127.0.0.1:8642:8642"]
