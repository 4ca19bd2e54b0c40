"""A workload's options: their base class, their schema, and the check of what a job gives."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tuner.errors import InvalidValue, WorkloadError


class WorkloadOptions(BaseModel):
    """Base of a workload's options. Every field needs a default, a description that names the unit, and its range."""

    model_config = ConfigDict(frozen=True, extra="forbid")


OptionsT = TypeVar("OptionsT", bound=WorkloadOptions)


def options_schema(options: type[WorkloadOptions]) -> dict[str, Any]:
    """The options' JSON schema, with enumerations written out where they stand.

    Raises:
        WorkloadError: An option has no default or no description.
    """
    schema: dict[str, Any] = options.model_json_schema()
    definitions = schema.pop("$defs", {})
    for name, field in schema.get("properties", {}).items():
        reference = field.pop("$ref", "").removeprefix("#/$defs/")
        if reference:
            field.update({key: value for key, value in definitions[reference].items() if key in ("type", "enum")})
        for needed in ("default", "description"):
            if needed not in field:
                raise WorkloadError(f"{options.__name__}: the option {name!r} needs a {needed}")
    return schema


def parse_options(options: type[OptionsT], given: dict[str, Any]) -> OptionsT:
    """The checked options; those left out take their defaults.

    Raises:
        InvalidValue: There is no such option, or its value is out of range; the message says what is allowed.
    """
    try:
        return options.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    properties = options_schema(options).get("properties", {})
    if name not in properties:
        known = f"one of {', '.join(sorted(properties))}" if properties else "absent: there are no options"
        raise InvalidValue("options", value=name, allowed=known)
    raise InvalidValue(f"options.{name}", value=first["input"], allowed=_allowed(properties[name]))


def _allowed(schema: dict[str, Any]) -> str:
    """What an option accepts, in words that continue "must be"."""
    if "enum" in schema:
        return f"one of {', '.join(repr(value) for value in schema['enum'])}"
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    kind = words.get(schema.get("type", ""), "as its description says")
    low = next((f"{sign}{schema[key]}" for key, sign in _LOW.items() if key in schema), "")
    high = next((f"{schema[key]}{sign}" for key, sign in _HIGH.items() if key in schema), "")
    multiple = f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else ""
    return f"{kind} in {low or '(-inf'}, {high or 'inf)'}{multiple}" if low or high else kind


_LOW = {"minimum": "[", "exclusiveMinimum": "("}
_HIGH = {"maximum": "]", "exclusiveMaximum": ")"}
