"""Names use the words of docs/glossary.md: a word that the glossary replaced may not name anything public again."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOMES = ("tuner", "service", "worker", "migrations", "benchmarks", "scripts")

FORBIDDEN = {
    "allowance": "rate_limit, quota",
    "answer": "result, response, report, recommendation",
    "answers": "results, responses",
    "ask_for": "request",
    "beginning": "shared_prefix, start",
    "beginnings": "shared_prefixes",
    "belief": "posterior",
    "bury": "reap",
    "conductor": "orchestrator",
    "courier": "deliver, delivery",
    "course": "progress",
    "everybody": "all users",
    "figures": "metrics",
    "given": "the noun of what is passed",
    "goes_on": "promoted, continues",
    "going_on": "resume",
    "gone_on": "promoted",
    "judge": "decide, classify",
    "judgment": "decision",
    "judgments": "decisions",
    "judging": "pruning",
    "kept": "stored, reserved, retained",
    "ladder": "rungs",
    "last_words": "exit_report",
    "likeness": "kernel",
    "look": "scope, read, poll",
    "looked": "read",
    "looking": "use_scope",
    "looks": "reads",
    "market": "fair_share, scheduler lock",
    "merit": "acquisition, rank",
    "misdeeds": "hostile workloads",
    "news": "events",
    "nobody": "unauthenticated",
    "plateau": "hold",
    "put_down": "kill, preempt",
    "relatives": "siblings",
    "seat": "worker",
    "sign_of_life": "heartbeat",
    "somebody": "user, caller",
    "steer": "control",
    "steering": "control",
    "story": "notes, events",
    "successor": "warm_start",
    "tell": "report, describe, notify",
    "teller": "handler",
    "telling": "informative",
    "tether": "die_with_parent",
    "told": "report, describe, notify",
    "trunk": "prefix, hold",
    "turn": "next_job, claim",
    "turns": "next_job",
    "whatever": "any",
    "whoever": "caller",
    "wish": "request",
}
"""Words that may not name a module, a class or a public function, each with what to write instead."""
ALLOWED = {
    "ReduceOnPlateau": "the field's name of the scheduler: ReduceLROnPlateau",
    "reduce_on_plateau": "the same",
}
"""Names that have such a word, each with the reason."""


def snake(name: str) -> str:
    """``LastWords`` and ``last_words`` alike: ``_last_words_``."""
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    return f"_{'_'.join(parts).lower()}_"


def names(path: Path) -> Iterator[str]:
    """The module, its classes, and its functions and methods without a leading underscore."""
    yield path.parent.name if path.stem == "__init__" else path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ClassDef(name=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if not name.startswith("_"):
                yield name


def forbidden_in(name: str) -> list[str]:
    return [] if name in ALLOWED else [word for word in FORBIDDEN if f"_{word}_" in snake(name)]


def test_no_module_class_or_public_function_has_a_forbidden_word() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name} ({word}: say {FORBIDDEN[word]})"
        for home in HOMES
        for path in (ROOT / home).rglob("*.py")
        for name in names(path)
        for word in forbidden_in(name)
    }
    assert sorted(found) == []


@pytest.mark.parametrize("name", ["told", "is_told", "ToldOnce", "LastWords", "last_words_of", "_Look", "HTTPAnswer"])
def test_a_forbidden_word_is_found_in_snake_and_camel_names(name: str) -> None:
    assert forbidden_in(name)


@pytest.mark.parametrize("name", ["last_word", "lookup", "Overlook", "return_value", "ReduceOnPlateau", "newsletter"])
def test_other_words_are_not(name: str) -> None:
    assert forbidden_in(name) == []


def test_every_allowed_name_is_there() -> None:
    there = {name for home in HOMES for path in (ROOT / home).rglob("*.py") for name in names(path)}
    assert set(ALLOWED) <= there


def test_every_path_of_the_glossary_is_there() -> None:
    paths = re.findall(r"`((?:tuner|service|worker|tests)/[\w./]+)`", (ROOT / "docs" / "glossary.md").read_text())
    assert len(paths) > 40
    assert [path for path in paths if not (ROOT / path).exists()] == []
