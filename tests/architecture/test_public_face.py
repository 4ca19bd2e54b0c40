"""What people copy imports the public names alone: ``tuner`` and the few modules beside it that are promised."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tuner

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = re.compile(r"tuner(\.(sdk|client|schedules|exports|optuna|workloads|integrations\.\w+))?")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
SCHEDULES = [
    {"peak_lr": 0.1, "family": {"name": "constant"}},
    {"peak_lr": 0.1, "family": {"name": "cosine"}, "warmup": {"shape": "cosine", "fraction": 0.1}, "floor": 0.01},
    {"peak_lr": 0.1, "family": {"name": "wsd"}, "warmup": {"shape": "linear", "fraction": 0.1}},
]


def modules_of_ours(code: str) -> Iterator[str]:
    """The modules of the project that a piece of Python imports, or reads attributes of."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "tuner")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tuner":
            yield str(node.module)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "tuner" and node.attr not in tuner.__all__:
            yield f"tuner.{node.attr}"


def assert_public(code: str, *, origin: object) -> None:
    private = {module for module in modules_of_ours(code) if not PUBLIC.fullmatch(module)}
    assert not private, f"{origin} imports {', '.join(sorted(private))}: give the name a place in tuner.__all__"


def test_the_rule_finds_what_is_not_public():
    code = "import tuner.search.space\nfrom tuner.training import data\nimport tuner\ntuner.local.tune\ntuner.tune()"
    assert {module for module in modules_of_ours(code) if not PUBLIC.fullmatch(module)} == {
        "tuner.search.space",
        "tuner.training",
        "tuner.local",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_pages_import_public_names_alone(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL):
        assert_public(block, origin=page.name)


def test_the_examples_import_public_names_alone():
    assert len(EXAMPLES) >= 10
    for example in EXAMPLES:
        assert_public(example.read_text(), origin=example)


@pytest.mark.parametrize("level", ["declared", "stepwise", "opaque"])
def test_a_new_workload_file_imports_public_names_alone(level, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from tuner.cli.main import app

    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["workload", "new", "mine.py", "--level", level])
    assert result.exit_code == 0, result.output
    code = (tmp_path / "mine.py").read_text()
    assert_public(code, origin=f"the {level} template")
    assert "tuner" in set(modules_of_ours(code))


def test_exported_code_imports_public_names_alone():
    from tuner.exports import EXPORTERS, TargetRun, export
    from tuner.schedules import Schedule

    ours = set()
    for name, exporter in EXPORTERS.items():
        if exporter.extension != "py":
            continue
        for fields in SCHEDULES:
            written = export(Schedule.model_validate(fields), format=name, run=TargetRun(total_steps=100))
            code = "".join(written.chunks)
            assert_public(code, origin=name)
            ours |= set(modules_of_ours(code))
    assert ours == {"tuner"}


def test_type_checkers_and_the_interpreter_see_the_same_public_names():
    tree = ast.parse(Path(tuner.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    typed = {alias.asname: node.module for node in imports for alias in node.names}
    assert typed == tuner._MODULE_OF
    visible = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "__getattr__" not in visible, "type checkers would accept every name"
    assert set(tuner.__all__) <= set(dir(tuner))
