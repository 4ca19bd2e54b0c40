"""What a worker tells about a workload, and the check of a job's options against it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from tuner.errors import InvalidValue, WorkloadError
from tuner.jobs.records import Level, WorkloadInfo
from tuner.search.space import OptimizerKind
from tuner.training.workload import AnyWorkload, DeclaredWorkload, WorkloadOptions

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def describe(workload: AnyWorkload) -> WorkloadInfo:
    """What the service and the command line show of a workload, and check requests against.

    Raises:
        WorkloadError: The workload breaks the contract: an attribute is missing or unfit, an option has no default or
            no description, or ``optimizer_option`` does not name an option whose default is ``optimizer``.
    """
    _check_attributes(workload)
    return WorkloadInfo(
        name=workload.name,
        version=workload.version,
        level=Level.DECLARED if isinstance(workload, DeclaredWorkload) else Level.STEPWISE,
        description=workload.description,
        options_schema=_options_schema(workload),
        optimizer_option=workload.optimizer_option,
        optimizer=workload.optimizer,
        default_steps=workload.default_steps,
        peak_lr={kind.value: bounds for kind, bounds in workload.peak_lr.items()},
    )


def parse_options(workload: AnyWorkload, options: dict[str, Any]) -> WorkloadOptions:
    """The checked options; those left out take the workload's defaults.

    Raises:
        InvalidValue: An option has no such name or is out of its range; the message lists what is allowed.
    """
    try:
        checked: WorkloadOptions = workload.Options.model_validate(options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        raise InvalidValue(
            f"options.{name}" if name else "options",
            value=first["input"],
            allowed=_allowed(workload, name=name),
            hint="" if name in workload.Options.model_fields else f"{workload.name} has no such option",
        ) from None
    return checked


def _check_attributes(workload: AnyWorkload) -> None:
    for attribute in ("name", "version", "description", "default_steps", "optimizer", "Options"):
        if not hasattr(workload, attribute):
            raise WorkloadError(f"{type(workload).__name__} must set the class attribute {attribute!r}")
    if not _NAME.fullmatch(workload.name):
        raise WorkloadError(f"the workload's name must be lower-case words joined by hyphens, got {workload.name!r}")
    if workload.default_steps < 1:
        raise WorkloadError(f"{workload.name}: default_steps must be at least 1, got {workload.default_steps}")
    option = workload.optimizer_option
    if option is not None:
        field = workload.Options.model_fields.get(option)
        if field is None or field.default != workload.optimizer:
            wanted = f"name an option whose default is {workload.optimizer}"
            raise WorkloadError(f"{workload.name}: optimizer_option {option!r} must {wanted}")
    for kind, (low, high) in workload.peak_lr.items():
        if kind not in set(OptimizerKind) or not 0 < low < high:
            raise WorkloadError(f"{workload.name}: peak_lr of {kind} must be 0 < low < high, got {(low, high)}")


def _options_schema(workload: AnyWorkload) -> dict[str, Any]:
    """The options' JSON schema, with references to enumerations written out where they stand."""
    schema: dict[str, Any] = workload.Options.model_json_schema()
    definitions = schema.pop("$defs", {})
    for name, field in schema.get("properties", {}).items():
        reference = field.pop("$ref", "").removeprefix("#/$defs/")
        if reference:
            field.update({key: value for key, value in definitions[reference].items() if key in ("type", "enum")})
        for needed in ("default", "description"):
            if needed not in field:
                raise WorkloadError(f"{workload.name}: option {name!r} needs a {needed}")
    return schema


def _allowed(workload: AnyWorkload, *, name: str) -> str:
    """What an option accepts, in words that continue "must be"."""
    properties = _options_schema(workload)["properties"]
    if name not in properties:
        return f"one of {', '.join(sorted(properties))}" if properties else "absent"
    schema = properties[name]
    if "enum" in schema:
        return f"one of {', '.join(repr(value) for value in schema['enum'])}"
    kind = {"integer": "an integer", "number": "a number", "boolean": "true or false", "string": "text"}
    words = kind.get(schema.get("type", ""), "as its description says")
    low = next((f"{sign}{schema[key]}" for key, sign in _LOW.items() if key in schema), "")
    high = next((f"{schema[key]}{sign}" for key, sign in _HIGH.items() if key in schema), "")
    return f"{words} in {low or '(-inf'}, {high or 'inf)'}" if low or high else words


_LOW = {"minimum": "[", "exclusiveMinimum": "("}
_HIGH = {"maximum": "]", "exclusiveMaximum": ")"}
