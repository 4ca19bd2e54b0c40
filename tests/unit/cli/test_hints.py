"""What the service says is shown by the command line in its own words: no HTTP calls, no quotes around nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.cli.test_main import COMMANDS
from tuner.cli.failures import ExitCode, explain
from tuner.cli.hints import in_commands, refusal_in_options
from tuner.cli.main import app
from tuner.client import ApiProblem
from tuner.jobs.admission.admit import JobRequest, SearchRequest
from tuner.jobs.spec import Limits, Resources
from tuner_service.problems.catalog import CATALOG
from tuner_service.problems.handlers import _WHERE_LISTED

ROOT = Path(__file__).parents[3]
CALL = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) /|/v1/")
NOT_FOR_COMMANDS = ("dashboard", "web")
"""Pages of the service: the client reads none of them."""
OF_SESSIONS = "X-CSRF-Token"
"""Browsers alone have sessions."""


def literals(path: Path) -> Iterator[str]:
    """The texts in a module that are no docstrings; ``{job_id}`` stands for what a formatted one fills in."""
    tree = ast.parse(path.read_text())
    documented = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    skipped = {id(node.body[0].value) for node in documented if node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{job_id}" for part in node.values)
            skipped |= {id(part) for part in node.values}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


def sentences() -> list[str]:
    """Every text of the service, the store and the decisions about jobs that names a call of the API."""
    rooms = [ROOT / "service" / "tuner_service", *(ROOT / "tuner" / room for room in ("store", "jobs", "people"))]
    files = [path for room in rooms for path in room.rglob("*.py")]
    texts = [text for path in files if not {*NOT_FOR_COMMANDS} & {*path.parts} for text in literals(path)]
    return [text for text in texts if CALL.search(text) and " " in text.strip() and OF_SESSIONS not in text]


@pytest.mark.parametrize("text", sentences())
def test_every_hint_of_the_service_becomes_one_of_the_command_line(text):
    shown = in_commands(text)
    assert not CALL.search(shown)
    for command in re.findall(r"`(tuner [^`]+)`", shown):
        assert any(command.startswith(name) for name in COMMANDS if name != "tuner"), command


def test_there_are_hints_to_translate():
    assert len(sentences()) > 10
    assert {*_WHERE_LISTED.values()} <= {*sentences()}


@pytest.mark.parametrize("kind", [kind for kind in CATALOG.values() if kind.slug != "csrf"], ids=lambda kind: kind.slug)
def test_every_kind_of_problem_is_a_line_without_a_call_of_the_api(kind):
    for detail in ("", kind.meaning, f"there is no job 'x'. {_WHERE_LISTED['job']}."):
        line, code = explain(ApiProblem(status=kind.status, type=kind.uri, title=kind.title, detail=detail, members={}))
        assert line
        assert not CALL.search(line)
        assert code is (ExitCode.UNREACHABLE if kind.status >= 500 else ExitCode.REFUSED)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("there is no job 'x'. GET /v1/jobs lists them.", "there is no job 'x'. `tuner jobs` lists them."),
        ("`GET /v1/teams` lists those that there are", "`tuner admin team list` lists those that there are"),
        ("GET /v1/jobs/{job_id}/runs lists those of a job", "`tuner runs JOB` lists those of a job"),
        ("GET /v1/jobs/3f-2a/events tells when it completes.", "`tuner watch 3f-2a` tells when it completes."),
        (
            "trial 3: GET /v1/jobs/3f/export?trial=3 exports it.",
            "trial 3: `tuner schedule export --job 3f --trial 3` exports it.",
        ),
        ("GET /v1/teams/{team}/members lists them", "`tuner admin member list TEAM` lists them"),
        ("search.trials must be at least 1, got 0.", "--trials must be at least 1, got 0."),
        (
            "options.lr is not one of them. It is set by `search.space.peak_lr`.",
            "--option lr is not one of them. It is set by `--peak-lr`.",
        ),
        ("search.options.wd.low must be above 0 on a log scale", "--vary wd must be above 0 on a log scale"),
        ("search.space.warmup.1 must be below 1", "--warmup must be below 1"),
        ("search.space.families.0.name must be one of cosine", "--family must be one of cosine"),
        ("search.space.families.0.params is no such", "search.space.families.0.params is no such"),
        ("device must be auto or cpu, got 'gpu0'", "--device must be auto or cpu, got 'gpu0'"),
        ("the worker cannot start: workloads must be a name", "the worker cannot start: --workload must be a name"),
        (
            "workloads must be the name of something in a, got 'a:B'",
            "WORKLOAD must be the name of something in a, got 'a:B'",
        ),
        ("command must be made of batch, got '--size={bach}'", "command must be made of batch, got '--size={bach}'"),
        ("my_search.budget and search.budgets stay", "my_search.budget and search.budgets stay"),
    ],
)
def test_a_call_becomes_the_command_that_does_the_same(text, shown):
    assert in_commands(text) == shown


OPTIONS = {flag for parameter in COMMANDS["tuner submit"].params for flag in parameter.opts}


@pytest.mark.parametrize(
    ("part", "model"), [("", JobRequest), ("search", SearchRequest), ("resources", Resources), ("limits", Limits)]
)
def test_every_field_of_a_job_is_refused_by_the_option_that_sets_it(part, model):
    for name in {*model.model_fields} - {"start", "space", "options", "search", "resources", "limits", "shared"}:
        field = f"{part}.{name}".lstrip(".")
        shown = refusal_in_options(f"{field} must be something else")
        assert shown.split()[0] in OPTIONS | {"WORKLOAD"}, shown


@pytest.mark.parametrize("field", ["budget", "trials"])
def test_a_refused_change_of_a_job_names_its_option(field):
    assert refusal_in_options(f"{field} must be at least 1, got 0.0.") == f"--{field} must be at least 1, got 0.0."
    assert f"--{field}" in {flag for parameter in COMMANDS["tuner set"].params for flag in parameter.opts}


def test_several_refused_values_are_a_line_each():
    errors = [{"msg": "search.seeds must be at least 1, got 0."}, {"msg": "limits.patience must be at least 1, got 0."}]
    problem = ApiProblem(
        status=422, type="x", title="Refused", detail="search.seeds (1 more in `errors`)", members={"errors": errors}
    )
    line, code = explain(problem)
    assert line.split("\n") == ["--seeds must be at least 1, got 0.", "       --patience must be at least 1, got 0."]
    assert code is ExitCode.REFUSED


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["submit"], "WORKLOAD must be given. `tuner workloads` lists them"),
        (["set", "x"], "the change must be given by at least one option"),
        (["schedule", "preview"], "the schedule must be named by exactly one of --family, --spec and --job. "),
        (["schedule", "preview", "--trial", "1", "--family", "linear"], "--job must be given with --trial"),
        (["schedule", "compress", "--to-steps", "5", "--family", "linear"], "--from-steps must be given unless"),
    ],
)
def test_a_missing_value_is_not_quoted(arguments: list[str], words: str, monkeypatch: Any):
    monkeypatch.setenv("TUNER_URL", "http://127.0.0.1:9")
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == ExitCode.REFUSED
    assert words in done.stderr
    assert "got ''" not in done.stderr
