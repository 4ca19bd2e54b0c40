"""Output: results go to standard output, messages about them to standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

import typer

from tuner.errors import InvalidValue
from tuner.text import visible_text

_SHORT = 8
"""Characters of an id that is shown to people."""


def say(message: str) -> None:
    """Print a message on standard error."""
    typer.echo(visible_text(message), err=True)


def show(text: str) -> None:
    """Print a part of the result on standard output; names and texts of others do nothing to the terminal."""
    typer.echo(visible_text(text, keep="\n\t\r"))


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
    """Print a table on standard output: columns that fit the terminal; elsewhere one row a line, with tabs between."""
    from tuner.cli.tables import fitted, tab_separated

    lines = fitted(headings, rows, width=terminal_width()) if is_tty() else tab_separated(headings, rows)
    show("\n".join(lines))


def show_rich(*parts: Any) -> None:
    """Print what rich renders on standard output; without a terminal, without the blanks that it pads lines with."""
    from rich.console import Console

    console = Console(highlight=False)
    if console.is_terminal:
        console.print(*parts)
        return
    with console.capture() as rendered:
        console.print(*parts)
    show("\n".join(line.rstrip() for line in rendered.get().rstrip("\n").split("\n")))


def short_id(text: str) -> str:
    """An id as it is listed: its start on a terminal, which every command takes, and all of it elsewhere."""
    return text[:_SHORT] if is_tty() else text


def terminal_width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns


def format_time(seconds: float | None) -> str:
    """A time in seconds since 1970 as a UTC date and time; empty for ``None``."""
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))


def format_device_time(seconds: float) -> str:
    """Device time in hours, ``"12.3 h"``, and below one in its largest unit: ``"42 s"``, ``"3 min"``."""
    return format_span(seconds) if seconds < 3_600 else f"{seconds / 3_600:,.1f} h"


def confirm_action(question: str, *, yes: bool) -> None:
    """Ask for confirmation of an action that cannot be undone.

    Args:
        question: What would happen.
        yes: Whether the command line has confirmed it.

    Raises:
        InvalidValue: Standard input is no terminal.
        typer.Abort: The person declines.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidValue("--yes", allowed="given where standard input is no terminal", hint=question)
    typer.confirm(question, abort=True, err=True)


def is_tty() -> bool:
    """Whether standard output is a terminal that can redraw."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def format_span(seconds: float) -> str:
    """A time span in its largest unit: ``"42 s"``, ``"3 min"``, ``"5 h"``, ``"2 d"``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
