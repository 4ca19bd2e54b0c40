"""Limits of request bodies: of each, of those of one caller under way, and of all."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuner_service.auth.authenticator import address_of
from tuner_service.auth.rate_limits import ConcurrencyLimit
from tuner_service.errors import TooManyRequests

_OF_ONE: Final = 8
_IN_ALL: Final = 64
"""Multiples of the longest body: small bodies are many, long ones few."""
_RETRY_SECONDS: Final = 1


def bodies_under_way(limit: int) -> ConcurrencyLimit:
    """The limit of the bytes of request bodies that are in memory at a time.

    Args:
        limit: Bytes of one body.
    """
    what = "bytes of request bodies"
    return ConcurrencyLimit(_OF_ONE * limit, in_all=_IN_ALL * limit, what=what, retry_after=_RETRY_SECONDS)


class BodyLimit:
    """Refuses request bodies above a limit before they are stored in memory.

    Args:
        app: The application within.
        limit: Maximum bytes of one.
        under_way: Counts the bytes of all, from `bodies_under_way`.
    """

    def __init__(self, app: ASGIApp, *, limit: int, under_way: ConcurrencyLimit) -> None:
        self._app = app
        self._limit = limit
        self._under_way = under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = _caller(scope)
        size = counted = 0

        async def receive_some() -> Message:
            nonlocal size, counted
            message = await receive()
            received = len(message.get("body", b""))
            size += received
            if size > self._limit:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {self._limit} bytes")
            try:
                self._under_way.take(caller, amount=received)
            except TooManyRequests as error:  # the framework passes no other error of `receive` on
                raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, str(error)) from error
            counted += received
            return message

        try:
            await self._app(scope, receive_some, send)
        finally:
            self._under_way.release(caller, amount=counted)


def _caller(scope: Scope) -> str:
    """The user who makes a request; its address where nobody has logged in yet."""
    principal = scope["state"].get("principal")
    return f"address {address_of(Request(scope))}" if principal is None else f"user {principal.user}"
