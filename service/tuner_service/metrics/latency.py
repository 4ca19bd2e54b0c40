"""Measures the latency of requests by route."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNMATCHED = "(none)"
"""Route label of requests that match no route."""
_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def latency_histogram(registry: CollectorRegistry) -> Histogram:
    """The histogram that `RequestLatency` fills."""
    return Histogram(
        "tuner_http_request_seconds",
        "Time until the response to a request began.",
        labelnames=["method", "route", "status"],
        buckets=_BUCKETS,
        registry=registry,
    )


class RequestLatency:
    """Measures the time to the start of each response: an event stream stays open for as long as its client.

    Args:
        app: The application within.
        histogram: From `latency_histogram`.
        clock: Monotonic seconds.
    """

    def __init__(self, app: ASGIApp, *, histogram: Histogram, clock: Callable[[], float] = time.perf_counter) -> None:
        self._app = app
        self._histogram = histogram
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()

        async def send_measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                labels = (_method(scope), route_of(scope), str(message["status"]))
                self._histogram.labels(*labels).observe(self._clock() - started)
            await send(message)

        await self._app(scope, receive, send_measured)


def route_of(scope: Scope) -> str:
    """The template of a request's route, as ``/v1/jobs/{job_id}``, so that clients cannot create labels."""
    template: str = getattr(scope.get("route"), "path", "")
    if not template:
        return UNMATCHED
    # A route knows its path within its router; the prefix of the router precedes it in the request's path.
    prefix, found, _ = scope["path"].partition(template.partition("{")[0])
    return f"{prefix}{template}" if found else template


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "other"
