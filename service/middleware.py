"""What every request passes: an id, a log line, a last resort for mistakes; and a guard against foreign web pages."""

from __future__ import annotations

import time
import uuid
from http import HTTPStatus
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import catalog
from service.problems.rendering import problem_response
from tuner.loopback import is_loopback

MAX_BODY_BYTES = 2**20
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

log = structlog.get_logger(__name__)


class RequestContext:
    """Gives each request an id, binds it to every log line, logs how it ended, and answers for our mistakes.

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
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                # The last resort, so it catches everything: nobody above could still answer.
                log.exception("request.failed", method=scope["method"], path=scope["path"])
                if not status:
                    await _internal_error(request_id)(scope, receive, send_with_id)
            milliseconds = round((time.perf_counter() - started) * 1000, 1)
            log.info("request.ended", method=scope["method"], path=scope["path"], status=status, ms=milliseconds)


class LocalOnly:
    """Refuses what a web page of another site can make a browser send to this machine.

    A page may point its own name at 127.0.0.1 (DNS rebinding): then the Host header gives it away. Or it may post to
    this service across origins: then the Origin header does.

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
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        request_id = scope["state"]["request_id"]
        if not is_loopback(_name(host)):
            refusal = problem_response(
                catalog.UNKNOWN_HOST,
                detail=f"The Host header must name this machine (127.0.0.1, localhost or [::1]), got {host!r}.",
                request_id=request_id,
                members={"host": host},
            )
        elif origin is not None and scope["method"] not in _SAFE_METHODS and _authority(origin) != host:
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


class BodyLimit:
    """Refuses request bodies that are larger than any request needs, before they are held in memory.

    Args:
        app: The application within.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        size = 0

        async def receive_some() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MAX_BODY_BYTES} bytes"
                )
            return message

        await self._app(scope, receive_some if scope["type"] == "http" else receive, send)


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
        detail=f"The service's log tells more, under request_id={request_id}.",
        request_id=request_id,
    )
