"""Long answers end when the rights end that they were given under."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOK_SECONDS = 15.0
"""How often it is looked whether whoever reads a long answer may still do so."""


class Watched:
    """One answer on its way. It is cut, as if its reader had gone, once the reader may not read it any more.

    Args:
        send: Where the answer goes.
        still: Whether its reader may go on.
        every: Seconds between looks.
    """

    def __init__(self, send: Send, *, still: Callable[[], Awaitable[bool]], every: float = LOOK_SECONDS) -> None:
        self._send_on = send
        self._still = still
        self._every = every
        self._looked_at = time.monotonic()
        self._cut = False

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        """Have an application answer a request (ASGI)."""
        try:
            await app(scope, receive, self._send)
        except Exception:
            # Ours, however the framework has wrapped it: an event stream's comes in a group of a group.
            if not self._cut:
                raise

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and message.get("more_body"):
            await self._look()
        await self._send_on(message)

    async def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < self._every:
            return
        self._looked_at = now
        if not await self._still():
            self._cut = True
            await self._send_on({"type": "http.response.body", "body": b"", "more_body": False})
            raise OSError("the reader may not read this any more")
