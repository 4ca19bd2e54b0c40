"""``tuner schedule families``: the schedule families and their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tuner.cli import completion
from tuner.cli.options import AsJson
from tuner.cli.output import show, show_json, show_table
from tuner.cli.schedule_documents import check_family


def families(
    family: Annotated[
        str,
        typer.Argument(
            metavar="FAMILY",
            autocompletion=completion.families,
            show_default=False,
            help="Show this family with its parameters.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the schedule families, or show one.

    Examples:
        tuner schedule families
        tuner schedule families wsd
    """
    from tuner.api.families import FamilyView
    from tuner.schedules import FAMILIES

    if family:
        check_family(family, field="FAMILY")
    views = [FamilyView.of(name) for name in ([family] if family else FAMILIES)]
    if as_json:
        show_json(views[0] if family else views)
    elif family:
        show(f"{family}: {_plain(views[0].description)}")
        parameters = [(one.name, _default(one.default), _allowed(one.schema)) for one in views[0].parameters]
        if parameters:
            show_table(("PARAMETER", "DEFAULT", "ALLOWED"), parameters)
    else:
        rows = [(view.name, ", ".join(one.name for one in view.parameters), _plain(view.description)) for view in views]
        show_table(("FAMILY", "PARAMETERS", "SHAPE"), rows)


def _plain(text: str) -> str:
    return text.replace("`", "")


def _default(value: object) -> str:
    return "" if value is None else str(value)


def _allowed(schema: Mapping[str, Any]) -> str:
    """The words for what a parameter may be; of a length each way to write it."""
    from tuner.validation import limits_of

    branches = [one for one in (*schema.get("oneOf", ()), *schema.get("anyOf", ())) if one.get("type") != "null"]
    if branches:
        return "; or ".join(map(_allowed, branches))
    if schema.get("type") == "object":
        return f"an object with {', '.join(schema.get('properties', {}))}"
    return limits_of(schema)
