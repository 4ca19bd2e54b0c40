"""A workload's options: their base class, their schema, and the check of what a job gives."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tuner.errors import InvalidValue, WorkloadError
from tuner.validation import allowed_by, one_of_names


class WorkloadOptions(BaseModel):
    """Base of a workload's options. Every field needs a default, a description that names the unit, and its range.

    Example:
        >>> from pydantic import Field
        >>> from tuner import WorkloadOptions
        >>> class MyOptions(WorkloadOptions):
        ...     width: int = Field(default=64, ge=1, le=4096, description="Units of the hidden layer.")
        >>> MyOptions(width=128)
        MyOptions(width=128)
    """

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


def parse_options(options: type[OptionsT], values: dict[str, Any]) -> OptionsT:
    """The checked options; those left out take their defaults.

    Raises:
        InvalidValue: There is no such option, or its value is out of range; the message says what is allowed.
    """
    try:
        return options.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if name not in options.model_fields:
        raise InvalidValue("options", value=name, allowed=one_of_names(sorted(options.model_fields), kind="options"))
    raise InvalidValue(f"options.{name}", value=first["input"], allowed=allowed_by(first))
