"""Parses values of the command line: ``NAME=VALUE``, ranges, numbers and JSON documents."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tuner.errors import InvalidValue

_AS_JSON: Final = {"True": "true", "False": "false", "None": "null"}
"""What Python prints, in JSON."""


def parse_assignments(texts: Sequence[str], *, option: str) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` texts.

    A value that is valid JSON is parsed as such (``0.1``, ``true``, ``null``, ``[3, 5]``), and so are ``True``,
    ``False`` and ``None``; any other is text.

    Args:
        texts: The texts.
        option: The name of the option, for the message: ``"--option"``.

    Raises:
        InvalidValue: A text has no ``=`` or no name, or a name occurs twice.
    """
    return {name: _json_or_text(value) for name, value in _by_name(texts, option=option)}


def _by_name(texts: Sequence[str], *, option: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InvalidValue(option, value=text, allowed="NAME=VALUE")
        if name in seen:
            raise InvalidValue(option, value=text, allowed=f"given once per name; {name} occurs twice")
        seen.add(name)
        yield name, value


def parse_ranges(texts: Sequence[str], *, option: str) -> dict[str, dict[str, Any]]:
    """Parse the ranges of searched options: ``NAME=LOW..HIGH``, ``NAME=LOW..HIGH:log`` or ``NAME=ONE,OTHER``.

    A range holds whole numbers when both of its ends are whole. Choices are parsed as in `parse_assignments`.

    Args:
        texts: The texts.
        option: The name of the option, for the message.

    Returns:
        By name, the range as the API takes it.

    Raises:
        InvalidValue: A text has none of these forms, or a name occurs twice.
    """
    return {name: _range(value, name=name, option=option) for name, value in _by_name(texts, option=option)}


def _range(text: str, *, name: str, option: str) -> dict[str, Any]:
    ends, _, scale = text.strip().partition(":")
    low, dots, high = ends.partition("..")
    low_end, high_end = _json_or_text(low), _json_or_text(high)
    if dots and scale in ("", "log") and _is_number(low_end) and _is_number(high_end):
        kind = "int" if isinstance(low_end, int) and isinstance(high_end, int) else "float"
        return {"kind": kind, "low": low_end, "high": high_end, "log": scale == "log"}
    choices = [_json_or_text(choice.strip()) for choice in text.split(",")]
    if not dots and len(choices) > 1:
        return {"kind": "choice", "values": choices}
    raise InvalidValue(
        option,
        value=f"{name}={text.strip()}",
        allowed="NAME=LOW..HIGH, NAME=LOW..HIGH:log, or NAME=ONE,OTHER",
        hint="For example --vary weight_decay=1e-4..0.1:log or --vary momentum=0.8,0.9,0.95",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def parse_limits(texts: Mapping[str, str | None]) -> dict[str, float | None]:
    """Parse limits: a number, or ``none`` for no limit, which becomes ``None``. Absent ones are left out.

    Args:
        texts: By the name of the field; its option has dashes instead of underscores.

    Raises:
        InvalidValue: A text is neither a number nor ``none``.
    """
    return {name: _limit(text, name=name) for name, text in texts.items() if text is not None}


def _limit(text: str, *, name: str) -> float | None:
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
        raise InvalidValue(option, value=text, allowed="a number, or none for no limit") from None


def parse_budget(text: str | None) -> float | str | None:
    """Parse a budget: a number of full runs, or a name, which the service knows."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def parse_share(text: str | None, *, option: str) -> float | None:
    """Parse a share: ``5%`` or ``0.05``.

    Args:
        text: The text; ``None`` when absent.
        option: The name of the option, for the message.

    Raises:
        InvalidValue: It is neither, or above 1 without ``%``, where it may be meant as a percentage.
    """
    if text is None:
        return None
    number = text.strip()
    allowed = "a share, as in 5% or 0.05"
    try:
        share = float(number.removesuffix("%"))
    except ValueError:
        raise InvalidValue(option, value=text, allowed=allowed) from None
    if number.endswith("%"):
        return share / 100
    if share > 1:
        raise InvalidValue(option, value=text, allowed=allowed, hint=f"Did you mean {share:g}%?")
    return share


def read_text(source: str, *, option: str) -> str:
    """Read a text from a file, or from standard input for ``-``.

    Args:
        source: The path, or ``-``.
        option: The name of the option, for the message.

    Raises:
        InvalidValue: The file cannot be read.
    """
    try:
        return sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InvalidValue(option, value=source, allowed="a file that can be read, or -", hint=f"{reason}") from error


def read_document(source: str, *, option: str) -> dict[str, Any]:
    """Read a JSON object from a file, or from standard input for ``-``.

    Args:
        source: The path, or ``-``.
        option: The name of the option, for the message.

    Raises:
        InvalidValue: The file cannot be read, or holds no JSON object.
    """
    from tuner.jobs.admission.json_text import read_json

    text = read_text(source, option=option)
    try:
        value = read_json(text)
    except InvalidValue as error:
        raise InvalidValue(option, value=source, allowed="a JSON document", hint=f"{error}") from error
    if not isinstance(value, dict):
        raise InvalidValue(option, value=source, allowed="a JSON object, in braces")
    return value


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(_AS_JSON.get(text, text))
    except ValueError:
        return text
