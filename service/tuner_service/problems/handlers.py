"""From an error to a problem: one table for the library's errors, and the few shapes of the web framework."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
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

log = structlog.get_logger(__name__)
MAX_TOLD = 50
"""Refused values that one answer tells of: there can be tens of thousands, each costing more to tell than to send."""

_AWAY = "The database does not answer. The service's log tells why"
_RETRY = {"Retry-After": str(RETRY_AFTER_SECONDS)}


@dataclass(frozen=True, kw_only=True)
class _Mapping:
    """How one class of errors is told."""

    kind: ProblemType
    members: tuple[str, ...] = ()
    """Attributes of the error that become extension members."""
    headers: Mapping[str, str] | None = None
    said: str | None = None
    """Told in place of the error's own words, which then go to the log: whoever asks may be nobody."""


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
    DatabaseUnavailable: _Mapping(kind=catalog.DATABASE_UNAVAILABLE, headers=_RETRY, said=_AWAY),
}

_WHERE_LISTED = {
    "job": "GET /v1/jobs lists them",
    "run": "GET /v1/jobs/{job_id}/runs lists those of a job",
    "workload": "GET /v1/workloads lists them",
    "team": "GET /v1/teams lists yours",
    "token": "GET /v1/tokens lists yours",
    "webhook": "GET /v1/webhooks lists yours",
}
_BY_STATUS = {
    HTTPStatus.BAD_REQUEST: catalog.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: catalog.BODY_TOO_LARGE,
}


class PayloadRefused(Exception):
    """A request body did not fit its model; carries what the model needs to explain it.

    Args:
        errors: What ``ValidationError.errors()`` lists.
        model: The model.
    """

    def __init__(self, errors: Sequence[Mapping[str, Any]], *, model: type[BaseModel]) -> None:
        self.errors = errors
        self.model = model
        super().__init__(f"{len(errors)} refused values")


def install(app: FastAPI) -> None:
    """Have every error of the application answered as a problem."""
    for error, mapping in _ERRORS.items():
        app.exception_handler(error)(_teller(mapping))
    app.exception_handler(NotFound)(_not_found)
    app.exception_handler(InvalidValue)(_invalid_value)
    app.exception_handler(PayloadRefused)(_payload_refused)
    app.exception_handler(RequestValidationError)(_parameters_refused)
    app.exception_handler(HTTPException)(_framework_error)


def told(request: Request, error: Exception) -> Response:
    """The answer to an error that is raised where no handler reaches: before the routes.

    Args:
        request: The request.
        error: One of those in the table.
    """
    return _teller(_ERRORS[type(error)])(request, error)


def request_id(request: Request) -> str:
    """The id that the middleware gave to this request."""
    found: str = request.state.request_id
    return found


def _not_found(request: Request, error: NotFound) -> Response:
    hint = error.hint or _WHERE_LISTED.get(error.kind, "")
    return _teller(_ERRORS[NotFound])(request, NotFound(error.kind, key=error.key, hint=hint))


def _teller(mapping: _Mapping) -> Callable[[Request, Exception], Response]:
    def tell(request: Request, error: Exception) -> Response:
        if mapping.said is not None:
            log.warning("request.unanswered", reason=str(error))
        return problem_response(
            mapping.kind,
            detail=_sentence(mapping.said or str(error)),
            request_id=request_id(request),
            members={name: getattr(error, name) for name in mapping.members},
            headers={"Retry-After": str(error.seconds)} if isinstance(error, TooManyRequests) else mapping.headers,
        )

    return tell


def _invalid_value(request: Request, error: InvalidValue) -> Response:
    return _refused([refusal_of(error)], of=1, request=request)


def _payload_refused(request: Request, error: PayloadRefused) -> Response:
    return _refused(refusals(error.errors[:MAX_TOLD], model=error.model), of=len(error.errors), request=request)


def _parameters_refused(request: Request, error: RequestValidationError) -> Response:
    """Query parameters, headers and paths; their locations begin with which of these it is."""
    found = error.errors()
    told = found[:MAX_TOLD]
    stripped = [{**one, "loc": () if one["type"] == "json_invalid" else one["loc"][1:]} for one in told]
    return _refused(refusals(stripped), of=len(found), request=request)


def _refused(found: Sequence[Refusal], *, of: int, request: Request) -> Response:
    """What is refused, the first in the words of the detail.

    Args:
        found: What is told; at least one.
        of: How much was found altogether.
        request: The request.
    """
    first, more = found[0], of - 1
    rest = f" ({more} more{'' if of > len(found) else ' in `errors`'})" if more else ""
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
                for one in found
            ],
        },
    )


def _framework_error(request: Request, error: HTTPException) -> Response:
    """What the web framework refuses by itself: unknown paths and methods, bodies that cannot be read."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        wrong = NotFound("path", key=request.url.path, hint="The API is under /v1; /openapi.json describes it")
        return _not_found(request, wrong)
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
    """The methods that a documented path takes. The framework routes each apart, and tells only the first it met."""
    app: FastAPI = request.app
    return sorted(
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), request.url.path)
        for method in operations
    )


def _sentence(text: str) -> str:
    """With a full stop at its end."""
    return text if text.endswith((".", "?", "!", ")")) else f"{text}."
