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

OURS = ("migrate", "api", "worker", "worker-gpu")


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


def test_nothing_of_ours_runs_as_root_or_may_become_it() -> None:
    for target in ("service", "worker"):
        assert stages()[target].all("USER")[-1] == "tuner"
    for name in OURS:
        service = compose()["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service


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
