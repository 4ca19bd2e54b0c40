"""Where output goes: what was asked for to standard output, everything said about it to standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import typer

from tuner.errors import InvalidValue


def say(message: str) -> None:
    """Tell people something, on standard error."""
    typer.echo(message, err=True)


def show(text: str) -> None:
    """Print what was asked for, on standard output."""
    typer.echo(text)


def show_json(value: Any) -> None:
    """Print a value as JSON on standard output.

    Args:
        value: Dataclasses, pydantic models, and anything that JSON can hold, nested as they like. Numbers that are not
            finite become ``null``.
    """
    from pydantic_core import to_jsonable_python

    plain = to_jsonable_python(value, inf_nan_mode="null")
    show(json.dumps(plain, indent=2, ensure_ascii=False))


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns on standard output, two blanks apart; never cut, so that they can be piped."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for cells in (headings, *rows):
        show("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def moment(seconds: float | None) -> str:
    """A time in seconds since 1970 UTC as people read it; empty for none."""
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))


def hours(seconds: float) -> str:
    """Device time in hours, ``"12.3 h"``, and below one in its largest unit: ``"42 s"``, ``"3 min"``."""
    return ago(seconds) if seconds < 3_600 else f"{seconds / 3_600:,.1f} h"


def confirm_action(question: str, *, yes: bool) -> None:
    """Ask whether something is meant that cannot be undone.

    Args:
        question: What would happen.
        yes: Whether it was said on the command line already.

    Raises:
        InvalidValue: Nobody can be asked.
        typer.Abort: It is not meant.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidValue("--yes", allowed="given where nobody can be asked", hint=question)
    typer.confirm(question, abort=True, err=True)


def is_tty() -> bool:
    """Whether a person watches standard output on a terminal that can redraw."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def ago(seconds: float) -> str:
    """A time span in its largest unit: ``"42 s"``, ``"3 min"``, ``"5 h"``, ``"2 d"``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
