"""Every bound that a request body enforces is a word of its JSON schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

HUGE = 10**30
LOWER = {"minimum", "exclusiveMinimum", "enum", "const"}
UPPER = {"maximum", "exclusiveMaximum", "enum", "const"}
REFUSALS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "value_error"}


def models_in(kind: Any, *, seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """The models that an annotation mentions, and those of their fields."""
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
        seen.add(kind)
        yield kind
        for field in kind.model_fields.values():
            for part in (field.annotation, *field.metadata):
                yield from models_in(part, seen=seen)
    for argument in get_args(kind):
        yield from models_in(argument, seen=seen)


def numbers_in(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schemas of plain numbers that a value may have."""
    if schema.get("type") in {"number", "integer"}:
        yield schema
    for alternative in schema.get("anyOf", ()):
        yield from numbers_in(alternative)


def adapter(field: FieldInfo) -> TypeAdapter[Any]:
    annotated: Any = Annotated[field.annotation, field]
    return TypeAdapter(annotated)


def refused(field: FieldInfo, value: float) -> bool:
    try:
        adapter(field).validate_python(value)
    except ValidationError as error:
        return any(one["type"] in REFUSALS for one in error.errors())
    return False


def test_every_enforced_bound_of_a_number_is_declared(app: FastAPI) -> None:
    routes = [context.original_route for context in iter_route_contexts(app.routes)]
    bodies = [
        route.body_field.field_info.annotation for route in routes if isinstance(route, APIRoute) and route.body_field
    ]
    seen: set[type[BaseModel]] = set()
    checked, lost = 0, []
    for model in (found for body in bodies for found in models_in(body, seen=seen)):
        for name, field in model.model_fields.items():
            for schema in numbers_in(adapter(field).json_schema()):
                checked += 1
                huge = float(HUGE) if schema["type"] == "number" else HUGE
                lost += (
                    [f"{model.__name__}.{name} lower"] if not LOWER & schema.keys() and refused(field, -huge) else []
                )
                lost += [f"{model.__name__}.{name} upper"] if not UPPER & schema.keys() and refused(field, huge) else []
    assert checked > 60
    assert lost == []


def words_in(value: Any) -> Iterator[str]:
    """Every key of the document, at any depth, but for the names of properties and of query parameters."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in {"example", "examples", "default"}:
                yield key
                yield from words_in(list(inner.values()) if key == "properties" else inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words_in(inner)


def test_no_bound_is_in_words_that_json_schema_does_not_have(app: FastAPI) -> None:
    words = set(words_in(app.openapi()))
    assert not {"gt", "ge", "lt", "le", "min_length", "max_length", "multiple_of"} & words
    assert {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "maxLength", "pattern"} <= words


def test_every_number_in_a_path_a_query_or_a_header_has_both_bounds(app: FastAPI) -> None:
    unbounded = [
        f"{method} {path} {parameter['name']}"
        for path, item in app.openapi()["paths"].items()
        for method, operation in item.items()
        for parameter in operation.get("parameters", ())
        for schema in numbers_in(parameter["schema"])
        if not (LOWER & schema.keys() and UPPER & schema.keys())
    ]
    assert unbounded == []
