from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "optuna", "sqlalchemy", "fastapi", "matplotlib", "scipy", "sklearn")


def loaded_by(statement: str) -> set[str]:
    """The heavy libraries that a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_import_rules_of_the_design_hold():
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import tuner", set()),
        ("import tuner.schedules", set()),
        ("import tuner.jobs.spec, tuner.jobs.records, tuner.jobs.progress, tuner.people.records", set()),
        ("import tuner.report.report", set()),
        ("from tuner import InvalidValue, OptimizerKind, Progress, Report, RunStopped, Schedule, TrainingRun", set()),
        ("import tuner.exports", set()),
        (
            "import tuner.client, tuner.api.jobs, tuner.api.people, tuner.api.queue, tuner.api.runs, "
            "tuner.api.schedules, tuner.api.webhooks",
            set(),
        ),
        ("import tuner.cli.main", set()),
        ("import tuner.search.space", set()),
        ("import tuner.search.decision.plan", {"scipy"}),
        ("import tuner.training.protocol", set()),
        ("import tuner.sdk", set()),
        ("import tuner.cli.workload", set()),
        ("import tuner.store", {"sqlalchemy"}),
        ("import tuner_service.app", {"fastapi", "sqlalchemy"}),
        ("import tuner_worker.loop", {"optuna", "scipy", "sqlalchemy"}),
    ],
)
def test_an_import_loads_only_the_heavy_libraries_that_it_needs(statement, allowed):
    assert loaded_by(statement) <= allowed


def test_the_library_opens_its_public_names_and_no_others():
    import tuner

    for name in tuner.__all__:
        assert getattr(tuner, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        tuner.nonsense  # type: ignore[attr-defined]  # noqa: B018
