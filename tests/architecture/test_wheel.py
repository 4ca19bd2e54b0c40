from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The wheel and the source distribution, built by the declared back end without isolation or network."""
    folder = tmp_path_factory.mktemp("dist")
    code = (
        "import os, sys; from hatchling.build import build_wheel, build_sdist;"
        f"build_wheel({str(folder)!r}); build_sdist({str(folder)!r})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
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
