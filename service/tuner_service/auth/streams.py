"""Ends a streamed response when its caller loses the right to read it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHECK_SECONDS = 15.0
"""Interval between two checks of the rights of a stream's caller."""


class AuthorizedResponse:
    """A response whose caller is authorized again at intervals. Without authorization it ends as if disconnected.

    Args:
        send: Sends the response's messages (ASGI).
        is_authorized: Whether the caller may still read it.
        every: Seconds between checks.
    """

    def __init__(
        self, send: Send, *, is_authorized: Callable[[], Awaitable[bool]], every: float = CHECK_SECONDS
    ) -> None:
        self._forward = send
        self._is_authorized = is_authorized
        self._every = every
        self._checked_at = time.monotonic()
        self._ended = False

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        """Have an application respond to a request (ASGI)."""
        try:
            await app(scope, receive, self._send)
        except Exception:
            # The error that `_check` raised, which the framework may have wrapped in exception groups.
            if not self._ended:
                raise

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and message.get("more_body"):
            await self._check()
        await self._forward(message)

    async def _check(self) -> None:
        now = time.monotonic()
        if now - self._checked_at < self._every:
            return
        self._checked_at = now
        if not await self._is_authorized():
            self._ended = True
            await self._forward({"type": "http.response.body", "body": b"", "more_body": False})
            raise OSError("the caller may not read this any more")
