from __future__ import annotations

import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.wheels import ROOT, Environment, build


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The wheel and the source distribution, built by the declared back end without isolation or network."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    return folder


def test_the_wheel_holds_our_four_packages_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "tuner",
        "tuner_service",
        "tuner_worker",
        "tuner_migrations",
    }


def test_the_wheel_holds_every_tracked_file_of_the_packages(built):
    homes = ["tuner", "service/tuner_service", "worker/tuner_worker", "migrations/tuner_migrations"]
    tracked = subprocess.run(
        ["git", "ls-files", *homes],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packed = {re.sub(r"^(service|worker|migrations)/", "", path) for path in tracked}
    assert packed - names == set()


def test_the_wheel_holds_the_migration_scripts_and_their_template(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"tuner_migrations/env.py", "tuner_migrations/script.py.mako", "tuner/py.typed"} <= names
    assert any(name.startswith("tuner_migrations/versions/") and name.endswith(".py") for name in names)


def test_the_wheel_offers_the_tuner_command_and_the_licence(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        entry_points = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "tuner = tuner.cli.main:main" in archive.read(entry_points).decode()
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


def test_the_source_distribution_can_be_built_from(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {
        "pyproject.toml",
        "tuner/__init__.py",
        "migrations/tuner_migrations/env.py",
        "LICENSE",
        "README.md",
    } <= names


THEIRS = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "their-project"
version = "1.0"
[tool.hatch.build.targets.wheel]
packages = ["service", "worker", "migrations"]
"""


def test_a_project_with_packages_of_the_same_plain_names_and_ours_can_each_be_removed_again(built, tmp_path):
    source = tmp_path / "source"
    for package in ("service", "worker", "migrations"):
        (source / package).mkdir(parents=True)
        (source / package / "__init__.py").write_text("")
        (source / package / "__main__.py").write_text("")
    (source / "pyproject.toml").write_text(THEIRS)
    build(source, tmp_path)
    (ours,), (theirs,) = built.glob("*.whl"), tmp_path.glob("*.whl")
    environment = Environment(tmp_path / "venv")
    bare = environment.files()
    environment.install(ours)
    with_ours = environment.files()
    environment.install(theirs)
    with_both = environment.files()
    environment.uninstall("their-project")
    assert environment.files() == with_ours
    environment.install(theirs)
    assert environment.files() == with_both
    environment.uninstall("schedule-tuner")
    assert environment.files() == bare | (with_both - with_ours)
    assert "worker/__main__.py" in environment.files()
