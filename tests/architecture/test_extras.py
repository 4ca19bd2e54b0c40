"""What an installation with some of the extras can import: everything that it is for, from what is declared alone."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tuner.extras import MODULES

ROOT = Path(__file__).resolve().parents[2]
US = "schedule-tuner"

# Everything else that is installed cannot be imported in there.
PROGRAM = """
import importlib, importlib.abc, pkgutil, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
for package in {packages!r}:
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), prefix=package + "."):
        if not found.name.startswith({skipped!r}):
            importlib.import_module(found.name)
{then}
"""

LIBRARY = [
    "tuner.schedules",
    "tuner.exports",
    "tuner.search",
    "tuner.jobs",
    "tuner.report",
    "tuner.store",
    "tuner.driver",
    "tuner.people",
    "tuner.cli",
]
NEEDS_THE_WORKER = ("tuner.schedules.torch_adapter", "tuner.driver.in_process", "tuner.driver.process_memory")


def declared(extras: Iterable[str]) -> set[str]:
    """The distributions that an installation with these extras brings, in the end."""
    found: set[str] = set()
    waiting = [(US, frozenset(extras))]
    seen = set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        found.add(name)
        try:
            requirements = [Requirement(text) for text in distribution(name).requires or ()]
        except PackageNotFoundError:  # for another platform
            continue
        waiting += [
            (canonicalize_name(each.name), frozenset(each.extras))
            for each in requirements
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *wanted))
        ]
    return found


@functools.cache
def absent(extras: tuple[str, ...]) -> set[str]:
    """The modules that are installed here and would not be there."""
    there = declared(extras)
    return {
        module
        for module, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & there
    } - {"tuner", "tuner_service", "tuner_worker", "tuner_migrations"}


def run(extras: Iterable[str], packages: list[str], *, skipped: tuple[str, ...] = (), then: str = "") -> None:
    program = PROGRAM.format(absent=absent(tuple(extras)), packages=packages, skipped=skipped, then=then)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_torch_and_what_else_trains_comes_with_the_worker_alone() -> None:
    assert {"torch", "scikit-learn", "nvidia-ml-py", "psutil"} <= declared(["worker"])
    assert not {"torch", "scikit-learn", "nvidia-ml-py", "psutil"} & declared(["service", "postgres"])
    assert not {"fastapi", "uvicorn", "optuna-dashboard"} & declared(["worker", "postgres"])
    assert not {"fastapi", "torch", "psycopg"} & declared([])


def test_all_is_everything_that_runs() -> None:
    assert declared(["all"]) == declared(["service", "worker", "postgres"])
    assert declared(["all"]) < declared(["dev"])


@pytest.mark.parametrize("extras", [(), ("service",), ("worker",)], ids=" ".join)
def test_the_library_the_client_and_the_commands_need_no_extra(extras) -> None:
    run(extras, ["tuner.client", *LIBRARY, "tuner_migrations"], skipped=(*NEEDS_THE_WORKER, "tuner_migrations.env"))


def command(arguments: list[str], *, extras: Iterable[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What a command of an installation with these extras says."""
    then = f"""
sys.argv = {["tuner", *arguments]!r}
from tuner.cli.main import main
main()
"""
    if arguments[:2] == ["python", "-m"]:
        then = f"""
import runpy
sys.argv = {arguments[2:]!r}
runpy.run_module({arguments[2]!r}, run_name="__main__", alter_sys=True)
"""
    program = PROGRAM.format(absent=absent(tuple(extras)), packages=[], skipped=(), then=then)
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)


POSTGRES = ["--database-url", "postgresql://me@127.0.0.1:9/tuner"]


@pytest.mark.parametrize(
    ("arguments", "extras", "wanted"),
    [
        (["up"], (), "all"),
        (["up"], ("service",), "worker"),
        (["up"], ("worker",), "service"),
        (["up", *POSTGRES], (), "all"),
        (["up", *POSTGRES], ("service", "worker"), "postgres"),
        (["demo"], (), "all"),
        (["demo"], ("service",), "worker"),
        (["serve"], (), "service"),
        (["serve"], ("worker",), "service"),
        (["serve", *POSTGRES], ("service",), "postgres"),
        (["worker"], (), "worker"),
        (["worker"], ("service",), "worker"),
        (["worker", *POSTGRES], ("worker",), "postgres"),
        (["python", "-m", "tuner_service"], (), "service"),
        (["python", "-m", "tuner_service", "--help"], ("worker",), "service"),
        (["python", "-m", "tuner_worker"], (), "worker"),
        (["python", "-m", "tuner_worker", "--help"], ("service",), "worker"),
        (["workload", "check", "tuner.workloads.digits:DigitsMlp"], (), "worker"),
        (["workload", "check", "tuner.workloads.digits:DigitsMlp"], ("service",), "worker"),
        (["db", "upgrade", *POSTGRES], (), "postgres"),
        (["db", "check", *POSTGRES], ("service", "worker"), "postgres"),
        (["db", "backup", "copy", *POSTGRES], (), "postgres"),
        (["db", "restore", __file__, *POSTGRES], (), "postgres"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list | tuple) else value,
)
def test_a_command_that_needs_an_extra_says_which_and_makes_nothing(arguments, extras, wanted, tmp_path) -> None:
    done = command(arguments, extras=extras, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.endswith(f"Install them: pip install 'schedule-tuner[{wanted}]'\n")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


FACE = """
import tuner
from tuner.extras import ExtraMissing

refused = dict()
for name in tuner.__all__:
    try:
        exec(f"from tuner import {name}")
    except ImportError as error:
        assert isinstance(error, ExtraMissing) and isinstance(error, tuner.TunerError), repr(error)
        refused[name] = str(error)
assert {"StepwiseWorkload", "ShuffledBatches", "ScheduleLR"} <= set(refused), refused
for call in (lambda: tuner.tune("digits-mlp"), lambda: tuner.tune(object(), trials=0)):
    try:
        call()
    except ExtraMissing as error:
        refused["tune()"] = str(error)
    else:
        raise AssertionError("tune() has trained")
for name, line in refused.items():
    assert line.startswith("tuner.") and name + " needs packages that are not installed (" in line, line
    assert line.endswith("Install them: pip install 'schedule-tuner[worker]'"), line
assert not hasattr(tuner, "no_such_name")
"""


@pytest.mark.parametrize("extras", [(), ("service", "postgres")], ids=" ".join)
def test_a_public_name_that_needs_an_extra_says_which(extras) -> None:
    run(extras, ["tuner"], skipped=("tuner.",), then=FACE)


def test_the_modules_of_an_extra_are_those_of_its_distributions() -> None:
    owners = packages_distributions()
    for extra, modules in MODULES.items():
        requirements = [Requirement(text) for text in distribution(US).requires or ()]
        ours = {canonicalize_name(each.name) for each in requirements if f'extra == "{extra}"' in str(each.marker)}
        assert {canonicalize_name(owners[module][0]) for module in modules} == ours


def test_the_service_runs_without_what_the_workers_need(tmp_path) -> None:
    database = f"sqlite:///{tmp_path / 'tuner.db'}"
    then = f"""
from tuner.store import Store
store = Store.open({database!r})
store.optuna_storage()
store.close()
"""
    run(["service", "postgres"], ["tuner_service"], then=then)


def test_a_worker_runs_without_the_web_framework() -> None:
    then = "from tuner.workloads import builtin_workloads; builtin_workloads()"
    run(["worker", "postgres"], ["tuner_worker", "tuner.training", "tuner.workloads"], then=then)
