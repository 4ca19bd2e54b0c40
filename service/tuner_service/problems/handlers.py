"""Maps errors to problem responses: one table for the library's errors, and handlers for the framework's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from tuner.errors import (
    DatabaseUnavailable,
    IdempotencyConflict,
    IllegalTransition,
    InvalidValue,
    LimitReached,
    NotFound,
)
from tuner.jobs.admission.strict_json import Refusal, refusal_of, refusals
from tuner_service.errors import (
    Forbidden,
    ForgedRequest,
    NotJson,
    NotReady,
    ReportNotReady,
    TooManyRequests,
    Unauthenticated,
)
from tuner_service.problems import catalog
from tuner_service.problems.catalog import ProblemType
from tuner_service.problems.rendering import problem_response

RETRY_AFTER_SECONDS = 5

MAX_LISTED = 50
"""Maximum refused values in one response: a request can contain tens of thousands, and each is costly to explain."""

_AWAY = "The database does not respond. The service's log has the reason"
_RETRY = {"Retry-After": str(RETRY_AFTER_SECONDS)}


@dataclass(frozen=True, kw_only=True)
class _Mapping:
    """Maps an error class to a problem response."""

    kind: ProblemType
    members: tuple[str, ...] = ()
    """Attributes of the error that become extension members."""
    headers: Mapping[str, str] | None = None
    public_detail: str | None = None
    """Replaces the error's message, which may name hosts: the caller may be unauthenticated."""


_ERRORS: Mapping[type[Exception], _Mapping] = {
    NotFound: _Mapping(kind=catalog.NOT_FOUND, members=("kind", "key", "hint")),
    IllegalTransition: _Mapping(kind=catalog.STATE_CONFLICT, members=("kind", "key", "state", "wanted")),
    IdempotencyConflict: _Mapping(kind=catalog.IDEMPOTENCY_CONFLICT, members=("key", "job_id")),
    ReportNotReady: _Mapping(kind=catalog.REPORT_NOT_READY, members=("job_id", "state", "hint")),
    LimitReached: _Mapping(kind=catalog.LIMIT_REACHED, members=("limit", "of", "value", "allowed")),
    Unauthenticated: _Mapping(kind=catalog.UNAUTHENTICATED, headers={"WWW-Authenticate": 'Bearer realm="tuner"'}),
    ForgedRequest: _Mapping(kind=catalog.CSRF),
    Forbidden: _Mapping(kind=catalog.FORBIDDEN, members=("needed",)),
    TooManyRequests: _Mapping(kind=catalog.TOO_MANY_REQUESTS, members=("rate",)),
    NotJson: _Mapping(kind=catalog.NOT_JSON),
    NotReady: _Mapping(kind=catalog.NOT_READY, members=("checks",), headers=_RETRY),
    DatabaseUnavailable: _Mapping(kind=catalog.DATABASE_UNAVAILABLE, headers=_RETRY, public_detail=_AWAY),
}

_WHERE_LISTED = {
    "job": "GET /v1/jobs lists them",
    "run": "GET /v1/jobs/{job_id}/runs lists those of a job",
    "workload": "GET /v1/workloads lists them",
    "team": "GET /v1/teams lists yours",
    "user": "GET /v1/users lists them",
    "token": "GET /v1/tokens lists yours",
    "webhook": "GET /v1/webhooks lists yours",
}
_BY_STATUS = {
    HTTPStatus.BAD_REQUEST: catalog.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: catalog.BODY_TOO_LARGE,
}


class PayloadRefused(Exception):
    """A request body did not fit its model.

    Args:
        errors: As ``ValidationError.errors()`` lists them.
        model: The model.
    """

    def __init__(self, errors: Sequence[Mapping[str, Any]], *, model: type[BaseModel]) -> None:
        self.errors = errors
        self.model = model
        super().__init__(f"{len(errors)} refused values")


def install(app: FastAPI) -> None:
    """Register the handlers that respond to every error with a problem."""
    for error, mapping in _ERRORS.items():
        app.exception_handler(error)(_handler(mapping))
    app.exception_handler(NotFound)(_not_found)
    app.exception_handler(InvalidValue)(_invalid_value)
    app.exception_handler(PayloadRefused)(_payload_refused)
    app.exception_handler(RequestValidationError)(_parameters_refused)
    app.exception_handler(HTTPException)(_framework_error)


def to_response(request: Request, error: Exception) -> Response:
    """The response to an error that is raised before the routes, where the framework calls no handler.

    Args:
        request: The request.
        error: Its class is in the table.
    """
    return _handler(_ERRORS[type(error)])(request, error)


def request_id(request: Request) -> str:
    """The id that the middleware assigned to this request."""
    assigned: str = request.state.request_id
    return assigned


def _not_found(request: Request, error: NotFound) -> Response:
    hint = error.hint or _WHERE_LISTED.get(error.kind, "")
    return _handler(_ERRORS[NotFound])(request, NotFound(error.kind, key=error.key, hint=hint))


def _handler(mapping: _Mapping) -> Callable[[Request, Exception], Response]:
    def handle(request: Request, error: Exception) -> Response:
        return problem_response(
            mapping.kind,
            detail=_sentence(mapping.public_detail or str(error)),
            request_id=request_id(request),
            members={name: getattr(error, name) for name in mapping.members},
            headers={"Retry-After": str(error.seconds)} if isinstance(error, TooManyRequests) else mapping.headers,
        )

    return handle


def _invalid_value(request: Request, error: InvalidValue) -> Response:
    return _refused([refusal_of(error)], total=1, request=request)


def _payload_refused(request: Request, error: PayloadRefused) -> Response:
    return _refused(refusals(error.errors[:MAX_LISTED], model=error.model), total=len(error.errors), request=request)


def _parameters_refused(request: Request, error: RequestValidationError) -> Response:
    """Handles query parameters, headers and paths. The first item of their location names the kind of parameter."""
    errors = error.errors()
    stripped = [{**one, "loc": () if one["type"] == "json_invalid" else one["loc"][1:]} for one in errors[:MAX_LISTED]]
    return _refused(refusals(stripped), total=len(errors), request=request)


def _refused(listed: Sequence[Refusal], *, total: int, request: Request) -> Response:
    """The response that lists refused values, and whose detail is about the first.

    Args:
        listed: The refusals to list, at least one.
        total: Number of all refusals.
        request: The request.
    """
    first, more = listed[0], total - 1
    rest = f" ({more} more{'' if total > len(listed) else ' in `errors`'})" if more else ""
    return problem_response(
        catalog.INVALID_REQUEST,
        detail=_sentence(first.message) + rest,
        request_id=request_id(request),
        members={
            "field": first.field,
            "value": first.value,
            "allowed": first.allowed,
            "hint": first.hint,
            "errors": [
                {
                    "loc": one.loc,
                    "field": one.field,
                    "msg": one.message,
                    "input": one.value,
                    "allowed": one.allowed,
                    "hint": one.hint,
                }
                for one in listed
            ],
        },
    )


def _framework_error(request: Request, error: HTTPException) -> Response:
    """Handles the framework's own errors: unknown paths and methods, bodies that cannot be read."""
    if isinstance(error.__cause__, TooManyRequests):
        return to_response(request, error.__cause__)
    if isinstance(error.__cause__, InvalidValue):
        return _invalid_value(request, error.__cause__)
    if error.status_code == HTTPStatus.NOT_FOUND:
        unknown = NotFound("path", key=request.url.path, hint="The API is under /v1; /openapi.json describes it")
        return _not_found(request, unknown)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = _methods(request) or (error.headers or {}).get("Allow", "").split(", ")
        return problem_response(
            catalog.METHOD_NOT_ALLOWED,
            detail=f"{request.url.path} takes {' and '.join(allowed)}, got {request.method}.",
            request_id=request_id(request),
            members={"method": request.method, "allowed": allowed},
            headers={"Allow": ", ".join(allowed)},
        )
    kind = _BY_STATUS.get(HTTPStatus(error.status_code), catalog.BAD_REQUEST)
    return problem_response(kind, detail=_sentence(str(error.detail)), request_id=request_id(request))


def _methods(request: Request) -> list[str]:
    """The methods of a documented path. The framework itself lists only those of the first matching route."""
    app: FastAPI = request.app
    return sorted(
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), request.url.path)
        for method in operations
    )


def _sentence(text: str) -> str:
    """The text with a full stop at its end."""
    return text if text.endswith((".", "?", "!", ")")) else f"{text}."
