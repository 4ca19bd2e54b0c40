"""The API's document: every error of every operation is a problem, and says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tuner_service.examples import with_nulls
from tuner_service.problems import catalog
from tuner_service.problems.catalog import ProblemType
from tuner_service.problems.rendering import MEDIA_TYPE, Problem, declared

_PROBES = frozenset({"/healthz", "/readyz"})
OPEN_PATHS = _PROBES | {"/problems/{slug}"}
"""These need no login."""

_OF_ALL = (catalog.UNKNOWN_HOST, catalog.INTERNAL_ERROR, catalog.DATABASE_UNAVAILABLE)
_OF_PARAMETERS = (catalog.INVALID_REQUEST,)
_COUNTED = (catalog.TOO_MANY_REQUESTS,)
_BEHIND_LOGIN = (catalog.UNAUTHENTICATED,)
_OF_WRITERS = (catalog.FOREIGN_ORIGIN, catalog.BAD_REQUEST)
_OF_WRITERS_BEHIND_LOGIN = (catalog.CSRF,)
_READS = frozenset({"get", "head"})
_TOKEN = "token"
_SECURITY_SCHEMES = {
    _TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token, `stt_...`. A browser that is logged in sends its session's cookie instead. Where "
        "nobody logs in (on loopback with SQLite) none is needed.",
    }
}
_REF = {"$ref": "#/components/schemas/Problem"}


def install(app: FastAPI) -> None:
    """Have the application publish the document that `document` makes, made once."""

    def publish() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = publish  # type: ignore[method-assign] # the framework's own way to extend it


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for framework_error in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework_error, None)
    schemas["Problem"] = Problem.model_json_schema()
    for schema in schemas.values():
        if "description" in schema:  # a docstring, whose errors and example are Python's
            schema["description"] = re.split(r"\n\n(?:Raises|Example):\n", schema["description"])[0]
    components["securitySchemes"] = _SECURITY_SCHEMES
    for path, method, operation in operations(made):
        if path not in OPEN_PATHS:
            operation["security"] = [{_TOKEN: []}]
        _restore_nulls(operation.get("requestBody", {}))
        for response in operation["responses"].values():
            _restore_nulls(response)
        _declare(operation["responses"], kinds=_common(path, method=method))
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of a document: its path, its method in lower case, and what is said about it."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _common(path: str, *, method: str) -> Iterator[ProblemType]:
    """What every operation of this kind may answer with."""
    yield from _OF_ALL
    if path not in _PROBES:
        yield from (*_OF_PARAMETERS, *_COUNTED)
    if path not in OPEN_PATHS:
        yield from _BEHIND_LOGIN
    if method not in _READS:
        yield from _OF_WRITERS
        if path not in OPEN_PATHS:
            yield from _OF_WRITERS_BEHIND_LOGIN


def _restore_nulls(body: dict[str, Any]) -> None:
    for content in body.get("content", {}).values():
        for name in ("example", "examples"):
            if name in content:
                content[name] = with_nulls(content[name])


def _declare(responses: dict[str, Any], *, kinds: Iterator[ProblemType]) -> None:
    """Add the problems to those that an operation declares, and give each its shape."""
    for kind in kinds:
        ((status, said),) = declared(kind).items()
        response = responses.setdefault(str(status), {"description": ""})
        if f"[{kind.slug}]" not in response["description"]:
            response["description"] = f"{response['description']} {said['description']}".strip()
    for status, response in responses.items():
        if int(status) >= 400:
            response["content"] = {MEDIA_TYPE: {"schema": _REF}}
