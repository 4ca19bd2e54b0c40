"""Reads values that people gave on the command line: ``NAME=VALUE`` and JSON documents."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.errors import InvalidValue


def assignments(texts: Sequence[str], *, option: str) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts.

    A value that reads as JSON is that (``0.1``, ``true``, ``null``, ``[3, 5]``); anything else is a text.

    Args:
        texts: As given.
        option: The option they were given to, for the message: ``"--option"``.

    Raises:
        InvalidValue: One has no ``=`` or no name, or a name is given twice.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InvalidValue(option, value=text, allowed="NAME=VALUE")
        if name in values:
            raise InvalidValue(option, value=text, allowed=f"given once per name; {name} is there twice")
        values[name] = _json_or_text(value)
    return values


def amounts(texts: Mapping[str, str | None]) -> dict[str, float | None]:
    """Read numbers that may be lifted: ``none`` becomes ``None``. What was not given is left out.

    Args:
        texts: As given, by the name of the field; its option has dashes instead of underscores.

    Raises:
        InvalidValue: One is neither a number nor ``none``.
    """
    return {name: _amount(text, name=name) for name, text in texts.items() if text is not None}


def _amount(text: str, *, name: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        option = f"--{name.replace('_', '-')}"
        raise InvalidValue(option, value=text, allowed="a number, or none to lift it") from None


def document(source: str, *, option: str) -> dict[str, Any]:
    """Read a JSON object from a file, or from standard input for ``-``.

    Args:
        source: The path, or ``-``.
        option: The option it was given to, for the message.

    Raises:
        InvalidValue: It cannot be read, or is no JSON object.
    """
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InvalidValue(option, value=source, allowed="a file that can be read, or -", hint=f"{reason}") from error
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidValue(option, value=source, allowed="a JSON document", hint=f"{error}") from error
    if not isinstance(value, dict):
        raise InvalidValue(option, value=source, allowed="a JSON object, in braces")
    return value


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
