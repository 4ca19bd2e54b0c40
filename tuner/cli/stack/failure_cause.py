"""Why a process failed, from the end of its log: one text for people, the cause first. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

_OUTPUT: Final = "\nLast lines of its error output:\n"
"""What a worker writes between how its runner ended and what the runner printed."""
_ERRORS: Final = frozenset({"error", "critical"})
_REASONS: Final = ("reason", "error", "exception", "event")
_SHOWN_LINES: Final = 12
_PROGRAM: Final = re.compile(r"^(worker|service): ")


def failure_cause(lines: Sequence[str]) -> str:
    """The cause of a failure.

    A process logs what ended it as its last error, as JSON; before it can log, it prints plain lines.

    Args:
        lines: What it has logged since its start.

    Returns:
        The cause, of several lines where it is a traceback; empty where nothing was logged.
    """
    errors = [record for line in lines if (record := _record(line)).get("level") in _ERRORS]
    if errors:
        return _cause(next(str(errors[-1][name]) for name in _REASONS if errors[-1].get(name)))
    plain = [_PROGRAM.sub("", line) for line in lines if line.strip() and not _record(line)]
    return _traceback_first("\n".join(plain[-_SHOWN_LINES:]))


def _record(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _cause(reason: str) -> str:
    """The reason; where it quotes what a runner printed, the last line of that, which is the runner's own error."""
    ending, marker, output = reason.partition(_OUTPUT)
    if not marker:
        return _traceback_first(reason)
    printed = output.strip().splitlines()
    return printed[-1].strip() if printed else ending


def _traceback_first(text: str) -> str:
    """Of a traceback the last line alone: the error."""
    lines = text.strip().splitlines()
    return lines[-1] if lines and any(line.startswith("Traceback (most recent call last)") for line in lines) else text
