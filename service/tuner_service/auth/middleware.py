"""Nobody passes without being known: finds out who makes each request, before anything else looks at it."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuner.errors import DatabaseUnavailable, TunerError
from tuner_service.auth.guard import Caller, Guard, address_of
from tuner_service.auth.sessions import CSRF_HEADER
from tuner_service.auth.streams import Watched
from tuner_service.errors import ForgedRequest, TooManyRequests, Unauthenticated
from tuner_service.middleware import SAFE_METHODS
from tuner_service.problems.handlers import told

_PROBES = frozenset({"/healthz", "/readyz"})
_OPEN = re.compile(r"/healthz|/readyz|/openapi\.json|/login|/problems/[^/]*")
"""What everybody may ask: it tells nothing that anybody has stored."""
_FORMS = frozenset({"/login", "/logout"})
"""These check for themselves what their forms bring back."""


class Authentication:
    """Puts into the request's state who makes it (``principal``) and of which ``session``; refuses everybody else.

    Args:
        app: The application within.
        guard: Who decides.
    """

    def __init__(self, app: ASGIApp, *, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI). There are no web sockets: one that is asked for is closed."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            caller = await self._admit(request)
        except (Unauthenticated, ForgedRequest, TooManyRequests, DatabaseUnavailable) as error:
            await _refusal(request, error)(scope, receive, send)
            return
        if caller is None:
            await self._app(scope, receive, send)
            return
        scope["state"].update(principal=caller.principal, session=caller.session)
        if not self._guard.login_needed:
            await self._app(scope, receive, send)
            return
        watched = Watched(_private(send), still=lambda: self._still(request, caller))
        await watched.run(self._app, scope, receive)

    async def _admit(self, request: Request) -> Caller | None:
        """Who makes a request; ``None`` where nobody needs to know.

        Raises:
            Unauthenticated: Somebody needs to know.
            ForgedRequest: A page of another site may have sent it.
            TooManyRequests: This one is too many.
        """
        if _OPEN.fullmatch(request.url.path):
            if self._guard.login_needed and request.url.path not in _PROBES:
                self._guard.requests.take(f"address {address_of(request)}")
            return None
        caller = await self._guard.identify(request)
        if caller is None:
            self._guard.requests.take(f"address {address_of(request)}")
            raise Unauthenticated("this needs a login: send the header Authorization: Bearer <token>")
        if caller.principal.token_id is not None:
            self._guard.requests.take(f"token {caller.principal.token_id}")
        if caller.session is not None and request.method not in SAFE_METHODS and request.url.path not in _FORMS:
            given = request.headers.get(CSRF_HEADER, "")
            if not self._guard.sessions.is_csrf_token(given, session=caller.session):
                raise ForgedRequest
        return caller

    async def _still(self, request: Request, caller: Caller) -> bool:
        """Whether a request would be let in again with the same rights."""
        try:
            return await self._guard.identify(request) == caller
        except DatabaseUnavailable:
            return True  # nobody can tell; it is asked again soon
        except (Unauthenticated, TooManyRequests):
            return False


def _refusal(request: Request, error: TunerError) -> Response:
    """The answer to a request that is not let in: for a person who looks at a page, the way to the login."""
    looks = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if isinstance(error, Unauthenticated) and looks and not request.url.path.startswith("/v1/"):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(wanted, safe='')}", status_code=303)
    return told(request, error)


def _private(send: Send) -> Send:
    """Have no cache keep what only somebody who logged in may see, unless the answer itself says how to."""

    async def send_privately(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("Cache-Control", "private, no-store")
        await send(message)

    return send_privately
