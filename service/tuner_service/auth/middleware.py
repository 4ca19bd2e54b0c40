"""Authenticates every request."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuner.errors import DatabaseUnavailable, TunerError
from tuner_service.auth.authenticator import Authenticator, Caller, address_of
from tuner_service.auth.sessions import CSRF_HEADER
from tuner_service.auth.streams import AuthorizedResponse
from tuner_service.errors import ForgedRequest, TooManyRequests, Unauthenticated
from tuner_service.middleware import SAFE_METHODS
from tuner_service.problems.handlers import to_response

_PROBES = frozenset({"/healthz", "/readyz"})
_OPEN = re.compile(r"/healthz|/readyz|/openapi\.json|/login|/problems/[^/]*")
"""Public paths: their responses contain no stored data."""
_FORMS = frozenset({"/login", "/logout"})
"""These check the CSRF token of their forms themselves."""


class Authentication:
    """Sets ``principal`` and ``session`` in the state of each request, and refuses unauthenticated requests.

    Args:
        app: The application within.
        authenticator: Identifies the caller.
    """

    def __init__(self, app: ASGIApp, *, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI). Web sockets are refused."""
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
            await _refusal_response(request, error)(scope, receive, send)
            return
        if caller is None:
            await self._app(scope, receive, send)
            return
        scope["state"].update(principal=caller.principal, session=caller.session)
        if not self._authenticator.login_needed:
            await self._app(scope, receive, send)
            return
        response = AuthorizedResponse(_private(send), is_authorized=lambda: self._is_authorized(request, caller))
        await response.run(self._app, scope, receive)

    async def _admit(self, request: Request) -> Caller | None:
        """Authenticate a request and count it against the rate limits; ``None`` for a public path.

        Raises:
            Unauthenticated: The path is not public, and the request has no valid credentials.
            ForgedRequest: The CSRF token is missing or wrong: a page of another site may have sent it.
            TooManyRequests: A rate limit is reached.
        """
        if _OPEN.fullmatch(request.url.path):
            if self._authenticator.login_needed and request.url.path not in _PROBES:
                self._authenticator.requests.take(f"address {address_of(request)}")
            return None
        caller = await self._authenticator.identify(request)
        if caller is None:
            self._authenticator.requests.take(f"address {address_of(request)}")
            raise Unauthenticated("this needs a login: send the header Authorization: Bearer <token>")
        if caller.principal.token_id is not None:  # by user: everyone may make further tokens for themselves
            self._authenticator.requests.take(f"user {caller.principal.user}")
        if caller.session is not None and request.method not in SAFE_METHODS and request.url.path not in _FORMS:
            csrf_token = request.headers.get(CSRF_HEADER, "")
            if not self._authenticator.sessions.is_csrf_token(csrf_token, session=caller.session):
                raise ForgedRequest
        return caller

    async def _is_authorized(self, request: Request, caller: Caller) -> bool:
        """Whether the caller still has the same rights."""
        try:
            return await self._authenticator.identify(request) == caller
        except DatabaseUnavailable:
            return True  # checked again soon
        except (Unauthenticated, TooManyRequests):
            return False


def _refusal_response(request: Request, error: TunerError) -> Response:
    """The response to a refused request: for a browser that requests a page, a redirect to the login."""
    wants_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if isinstance(error, Unauthenticated) and wants_page and not request.url.path.startswith("/v1/"):
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(target, safe='')}", status_code=303)
    return to_response(request, error)


def _private(send: Send) -> Send:
    """Forbid caches to store the response, unless it has its own Cache-Control."""

    async def send_privately(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("Cache-Control", "private, no-store")
        await send(message)

    return send_privately
