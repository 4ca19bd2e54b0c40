"""A recorded curve of losses, for the preview of a schedule that follows them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tuner.errors import InvalidValue

_STEPS: Final = ("step", "update", "updates")
_LOSSES: Final = ("loss", "val_loss", "value")
_ALLOWED: Final = (
    f"a CSV file with a header that names a column of updates done ({', '.join(_STEPS)}) and one of losses "
    f"({', '.join(_LOSSES)}), or one JSON object a line with these names"
)


def read_losses(file: Path, *, maximized: bool = False) -> tuple[tuple[int, float], ...]:
    """The evaluations of a file: updates done, and the loss there, lower is better.

    Args:
        file: CSV, or JSON objects, one a line, as training scripts report them.
        maximized: Whether its values are those of a metric that is maximized.

    Raises:
        InvalidValue: The file cannot be read, or holds something else.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InvalidValue("--losses", value=str(file), allowed="a file that can be read", hint=f"{reason}") from None
    losses: dict[int, float] = {}
    for number, row in _rows([line for line in lines if line.strip()]):
        try:
            step, loss = int(_named(row, _STEPS)), float(_named(row, _LOSSES))
        except (ValueError, TypeError):
            raise InvalidValue("--losses", value=f"line {number}: {row}", allowed=_ALLOWED) from None
        losses[step] = -loss if maximized else loss
    if not losses:
        raise InvalidValue("--losses", value=str(file), allowed=_ALLOWED)
    return tuple(sorted(losses.items()))


def _rows(lines: list[str]) -> Iterator[tuple[int, Any]]:
    if lines and lines[0].lstrip().startswith("{"):
        for number, line in enumerate(lines, start=1):
            try:
                yield number, json.loads(line)
            except ValueError:
                raise InvalidValue("--losses", value=f"line {number}: {line[:80]}", allowed=_ALLOWED) from None
    else:
        yield from enumerate(csv.DictReader(lines, skipinitialspace=True), start=2)


def _named(row: Any, names: tuple[str, ...]) -> Any:
    """The value of the first of the names that a row has; ``None`` where it has none."""
    return next((row[name] for name in names if name in row), None) if isinstance(row, dict) else None
