"""What can go wrong between a client and a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from tuner.errors import TunerError

UNAUTHENTICATED = 401
TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503


class ApiProblem(TunerError):
    """The service refused a request, or could not do it.

    Args:
        status: The HTTP status.
        type: What kind of problem it is, stable: ``"/problems/not-found"``.
        title: The same for people.
        detail: What happened this time, and what to do.
        members: What else the answer held: ``field``, ``value``, ``allowed``, ``state``, ...
    """

    def __init__(self, *, status: int, type: str, title: str, detail: str, members: Mapping[str, Any]) -> None:
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.members = dict(members)
        super().__init__(detail or title)


class NotLoggedIn(ApiProblem):
    """The service asks for a login, and none was sent, or one that it does not know (any more).

    Args:
        url: Address of the service.
        problem: How the service told it.
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
            else f"{url} asks for a login. `tuner login {url}` stores a token for it; TUNER_TOKEN gives one, too",
            members=problem.members,
        )


class ServiceUnreachable(TunerError):
    """No service answers at the address.

    Args:
        url: The address.
        reason: What happened instead.
    """

    def __init__(self, url: str, *, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(
            f"no service answers at {url} ({reason}). Start one with `tuner up`, or give the address of one that runs"
        )


def problem_of(response: httpx2.Response) -> ApiProblem:
    """The problem that an answer tells; whatever answers something else is no Schedule Tuner."""
    try:
        told = response.json()
    except ValueError:
        told = None
    if not isinstance(told, dict) or "title" not in told:
        return ApiProblem(
            status=response.status_code,
            type="about:blank",
            title=response.reason_phrase,
            detail=f"{response.url} answered {response.status_code}, but not as Schedule Tuner does",
            members={},
        )
    members = {name: value for name, value in told.items() if name not in {"type", "title", "status", "detail"}}
    return ApiProblem(
        status=response.status_code,
        type=str(told.get("type", "about:blank")),
        title=str(told["title"]),
        detail=str(told.get("detail", "")),
        members=members,
    )


def reason_of(error: httpx2.TransportError) -> str:
    """Why a connection failed, in words."""
    return str(error) or type(error).__name__
