"""Middleware: request ids and logs, the response to unexpected errors, host and origin checks, HEAD."""

from __future__ import annotations

import ipaddress
import time
import uuid
from asyncio import CancelledError
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuner.loopback import is_loopback
from tuner_service.logs import logging_of
from tuner_service.problems import catalog
from tuner_service.problems.rendering import problem_response
from tuner_service.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods without side effects."""
_ROUTED = ("route", "endpoint", "path_params")

log = structlog.get_logger(__name__)


class RequestContext:
    """Assigns an id to each request, adds it to every log line, logs the result, and responds to unexpected errors.

    Args:
        app: The application within.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        started = time.perf_counter()
        cancelled = False
        with logging_of(scope, request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except CancelledError:
                # The service stops, and this request was still under way at the end of the grace period: no error.
                cancelled = True
            except Exception:
                # The outermost handler: no other one could still respond.
                log.exception("request.failed", method=scope["method"], path=scope["path"])
                if not status:
                    await _internal_error(request_id)(scope, receive, send_with_id)
            ended = {
                "method": scope["method"],
                "path": scope["path"],
                "user": getattr(scope["state"].get("principal"), "user", None),
                "status": status,
                "ms": round((time.perf_counter() - started) * 1000, 1),
                **({"cancelled": True} if cancelled else {}),
            }
            log.info("request.ended", **ended)


class OwnHost:
    """Refuses requests that a web page of another site makes a browser send to this service.

    A page may point its own name at this machine (DNS rebinding): the Host header reveals that. Or it may post to this
    service across origins: the Origin header reveals that. Off loopback, addresses are accepted as hosts: no page can
    own one.

    Args:
        app: The application within.
        settings: Contain the names of the service.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._public_url = settings.public_url
        self._names = frozenset(name.lower() for name in (*settings.allowed_hosts, _public_host(settings)) if name)
        self._on_loopback = settings.on_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        request_id = scope["state"]["request_id"]
        if not self._is_own(_name(host)):
            refusal = problem_response(
                catalog.UNKNOWN_HOST,
                detail=f"The Host header must name this service ({self._expected}), got {host!r}.",
                request_id=request_id,
                members={"host": host},
            )
        elif origin is not None and scope["method"] not in SAFE_METHODS and not self._is_same(origin, host=host):
            refusal = problem_response(
                catalog.FOREIGN_ORIGIN,
                detail=f"The Origin header must be absent or name this service ({host}), got {origin!r}.",
                request_id=request_id,
                members={"origin": origin},
            )
        else:
            await self._app(scope, receive, send)
            return
        await refusal(scope, receive, send)

    def _is_own(self, name: str) -> bool:
        return is_loopback(name) or name.lower() in self._names or (not self._on_loopback and _is_address(name))

    def _is_same(self, origin: str, *, host: str) -> bool:
        return _authority(origin) == host or (self._public_url != "" and origin == self._public_url)

    @property
    def _expected(self) -> str:
        # The configured names stay private: the caller may be unauthenticated.
        return "127.0.0.1, localhost or [::1]" if self._on_loopback else "its address or a name in TUNER_ALLOWED_HOSTS"


class HeadRequests:
    """Responds to HEAD as to GET, without the body.

    Args:
        app: The application within, which may know GET alone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        within: Scope = {**scope, "method": "GET"}

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The middleware around this one label their measurements and log lines with the route.
                scope.update({name: within[name] for name in _ROUTED if name in within})
                await send(message)
                # The response is complete: what would produce a long body is disconnected.
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(within, receive, send_head)


def _public_host(settings: Settings) -> str:
    """The host of the public URL; empty without one."""
    return urlsplit(settings.public_url).hostname or ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """The host header without its port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _authority(origin: str) -> str | None:
    """Host and port of an origin; ``None`` when it is opaque (``null``) or malformed."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc if parts.scheme in {"http", "https"} else None


def _internal_error(request_id: str) -> ASGIApp:
    return problem_response(
        catalog.INTERNAL_ERROR,
        detail=f"The service's log has the details, under request_id={request_id}.",
        request_id=request_id,
    )
