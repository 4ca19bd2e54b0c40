"""The OpenAPI document: every operation declares its errors as problems, and has examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from tuner_service.problems import catalog
from tuner_service.problems.catalog import ProblemType
from tuner_service.problems.rendering import MEDIA_TYPE, Problem, problem_responses

_PROBES = frozenset({"/healthz", "/readyz"})
OPEN_PATHS = _PROBES | {"/problems/{slug}"}
"""Paths that need no login."""

_EVERY_OPERATION = (catalog.UNKNOWN_HOST, catalog.INTERNAL_ERROR, catalog.DATABASE_UNAVAILABLE)
_WITH_PARAMETERS = (catalog.INVALID_REQUEST,)
_RATE_LIMITED = (catalog.TOO_MANY_REQUESTS,)
_BEHIND_LOGIN = (catalog.UNAUTHENTICATED,)
_WRITING = (catalog.FOREIGN_ORIGIN, catalog.BAD_REQUEST)
_WRITING_BEHIND_LOGIN = (catalog.CSRF,)
_READS = frozenset({"get", "head"})
_TOKEN = "token"
_SECURITY_SCHEMES = {
    _TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token, `stt_...`. A browser with a session sends the session's cookie instead. Where no "
        "login is required (on loopback with SQLite) none is needed.",
    }
}
_REF = {"$ref": "#/components/schemas/Problem"}
_JSON = "application/json"


def operation_id(route: APIRoute) -> str:
    """The name of the function that serves an operation: ``list_jobs``, ``submit_job``."""
    return route.name


def install(app: FastAPI) -> None:
    """Have the application publish the document that `document` builds, built once."""

    def publish() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = publish  # type: ignore[method-assign] # the framework's documented way to extend it


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    built = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = built.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for framework_error in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework_error, None)
    schemas["Problem"] = Problem.model_json_schema()
    for schema in schemas.values():
        if "description" in schema:  # a docstring, whose errors and example are Python's
            schema["description"] = re.split(r"\n\n(?:Raises|Example):\n", schema["description"])[0]
    components["securitySchemes"] = _SECURITY_SCHEMES
    examples = json.loads(files("tuner_service").joinpath("examples.json").read_text(encoding="utf-8"))
    for path, method, operation in operations(built):
        if path not in OPEN_PATHS:
            operation["security"] = [{_TOKEN: []}]
        _add_examples(operation, examples=examples)
        _declare(operation["responses"], kinds=_common(path, method=method))
    return built


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of a document: its path, its method in lower case, and its description."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _common(path: str, *, method: str) -> Iterator[ProblemType]:
    """The problems that every operation of this kind may respond with."""
    yield from _EVERY_OPERATION
    if path not in _PROBES:
        yield from (*_WITH_PARAMETERS, *_RATE_LIMITED)
    if path not in OPEN_PATHS:
        yield from _BEHIND_LOGIN
    if method not in _READS:
        yield from _WRITING
        if path not in OPEN_PATHS:
            yield from _WRITING_BEHIND_LOGIN


def _add_examples(operation: dict[str, Any], *, examples: dict[str, Any]) -> None:
    """Add the recorded examples: to JSON by the name of its schema, to other content by its media type."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["examples"] = examples["requests"].get(_schema_name(content["schema"]), {})
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items() if int(status) < 300 else ():
            if media_type == _JSON:
                content["example"] = _response_example(content["schema"], examples=examples["responses"])
            else:
                content["example"] = examples["media_types"].get(media_type)


def _response_example(schema: dict[str, Any], *, examples: dict[str, Any]) -> Any:
    if schema.get("type") != "array":
        return examples.get(_schema_name(schema))
    example = examples.get(_schema_name(schema["items"]))
    return example if isinstance(example, list) else [example]


def _schema_name(schema: dict[str, Any]) -> str:
    """The name of the component that a schema refers to, ``null`` as an alternative or not."""
    reference = next(
        one["$ref"] for one in (schema, *schema.get("anyOf", ()), *schema.get("allOf", ())) if "$ref" in one
    )
    return str(reference).rpartition("/")[2]


def _declare(responses: dict[str, Any], *, kinds: Iterator[ProblemType]) -> None:
    """Add problems to those that an operation declares, and give each its schema."""
    for kind in kinds:
        ((status, declared),) = problem_responses(kind).items()
        response = responses.setdefault(str(status), {"description": ""})
        if f"[{kind.slug}]" not in response["description"]:
            response["description"] = f"{response['description']} {declared['description']}".strip()
    for status, response in responses.items():
        if int(status) >= 400:
            response["content"] = {MEDIA_TYPE: {"schema": _REF}}
