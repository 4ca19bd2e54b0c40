"""Errors of the client: a problem of the service, a missing login, an unreachable service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from tuner.errors import TunerError

UNAUTHENTICATED = 401
TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503


class ApiProblem(TunerError):
    """The service responded with an error (RFC 9457).

    Args:
        status: The HTTP status.
        type: The problem type, stable: ``"/problems/not-found"``.
        title: The problem type in words.
        detail: This occurrence, and what to do about it.
        members: The type's own members: ``field``, ``value``, ``allowed``, ``state``, ...
    """

    def __init__(self, *, status: int, type: str, title: str, detail: str, members: Mapping[str, Any]) -> None:
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.members = dict(members)
        super().__init__(detail or title)


class NotLoggedIn(ApiProblem):
    """The service requires a login, and the request had no token or one that is not valid.

    Args:
        url: Address of the service.
        problem: The response of the service.
        had_token: Whether a token was sent.
    """

    def __init__(self, url: str, *, problem: ApiProblem, had_token: bool) -> None:
        self.url = url
        self.had_token = had_token
        super().__init__(
            status=problem.status,
            type=problem.type,
            title=problem.title,
            detail=f"{url} does not accept the token: it is wrong, expired or revoked. "
            f"`tuner login {url}` stores another one"
            if had_token
            else f"{url} requires a login. `tuner login {url}` stores a token for it; TUNER_TOKEN sets one, too",
            members=problem.members,
        )


class ServiceUnreachable(TunerError):
    """No service responds at the address.

    Args:
        url: The address.
        reason: Why the connection failed.
    """

    def __init__(self, url: str, *, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(
            f"no service answers at {url} ({reason}). Start one with `tuner up`, or give the address of one that runs"
        )


def to_problem(response: httpx2.Response) -> ApiProblem:
    """Parse an error response. One that is not a problem comes from a server that is not Schedule Tuner."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "title" not in body:
        return ApiProblem(
            status=response.status_code,
            type="about:blank",
            title=response.reason_phrase,
            detail=f"{response.url} answered {response.status_code}, but not as Schedule Tuner does",
            members={},
        )
    members = {name: value for name, value in body.items() if name not in {"type", "title", "status", "detail"}}
    return ApiProblem(
        status=response.status_code,
        type=str(body.get("type", "about:blank")),
        title=str(body["title"]),
        detail=str(body.get("detail", "")),
        members=members,
    )


def failure_reason(error: httpx2.TransportError) -> str:
    """Why a connection failed, in words."""
    return str(error) or type(error).__name__
