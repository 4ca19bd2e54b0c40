"""The API's document: every error of every operation is a problem, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.problems import catalog
from service.problems.rendering import MEDIA_TYPE, Problem, declared

_OF_ALL = declared(catalog.UNKNOWN_HOST, catalog.INTERNAL_ERROR, catalog.DATABASE_UNAVAILABLE)
_OF_WRITERS = declared(catalog.FOREIGN_ORIGIN, catalog.BAD_REQUEST)
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
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for framework_error in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework_error, None)
    schemas["Problem"] = Problem.model_json_schema()
    for method, operation in _operations(made):
        responses = operation["responses"]
        common = _OF_ALL if method == "get" else {**_OF_ALL, **_OF_WRITERS}
        for status, said in common.items():
            responses.setdefault(str(status), dict(said))
        for status, response in responses.items():
            if int(status) >= 400:
                response["content"] = {MEDIA_TYPE: {"schema": _REF}}
    return made


def _operations(made: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in made["paths"].values():
        yield from item.items()
