"""The hints of the service name operations of the API, which the command line shows as commands."""

from __future__ import annotations

import re
from pathlib import Path

import tuner_service
from tuner.cli.hints import in_commands

SOURCES = Path(tuner_service.__file__).parent
HINT = re.compile(r"GET /v1/(?!me\b)[^\s\"`;]+")


def test_each_operation_that_a_hint_names_has_a_command() -> None:
    hints = {
        re.sub(r"\{[\w.]+\}", "ID", call)
        for path in (*SOURCES.rglob("errors.py"), *SOURCES.rglob("handlers.py"), SOURCES / "jobs" / "results.py")
        for call in HINT.findall(path.read_text(encoding="utf-8"))
    }
    assert len(hints) >= 8
    assert [hint for hint in sorted(hints) if "/v1" in in_commands(hint)] == []
