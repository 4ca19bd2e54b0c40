"""A space as a table of a notebook: what its families share, then a row for each family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from tuner.search.space.parameters import Choice, Parameter

Row = tuple[str, Mapping[str, Any], Mapping[str, Parameter]]
"""The key of a family, its fixed parameters, and its varied ones."""


def space_table(*, shared: Mapping[str, Parameter], families: Sequence[Row]) -> str:
    """The table as HTML, without styles.

    Args:
        shared: The parameters of all families, by name.
        families: Each with its own parameters, whose names are those of the family's fields.
    """
    head = "".join(_row(name, [_text(parameter)]) for name, parameter in shared.items())
    rows = "".join(
        _row(
            key,
            (
                *(f"{name} = {value}" for name, value in fixed.items()),
                *(f"{name}: {_text(parameter)}" for name, parameter in varied.items()),
            ),
        )
        for key, fixed, varied in families
    )
    return (
        "<table><thead><tr><th>parameter</th><th>values</th></tr></thead>"
        f"<tbody>{head}</tbody><thead><tr><th>family</th><th>its own parameters</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _row(name: str, lines: Iterable[str]) -> str:
    return f"<tr><td>{escape(name)}</td><td>{'<br>'.join(map(escape, lines))}</td></tr>"


def _text(parameter: Parameter) -> str:
    """``"0.0001 to 0.03, spread over orders of magnitude"``, or the choices."""
    if isinstance(parameter, Choice):
        return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in parameter.values)
    spread = ", spread over orders of magnitude" if parameter.log else ""
    return f"{parameter.low:g} to {parameter.high:g}{spread}"
