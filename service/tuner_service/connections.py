"""Limits of the connections of our own server, with or without a proxy before it: how many, and how slow they may be.

A connection waits for a request, or for the rest of one, or a request runs, or its response is written. A client that
is slower than the time-outs is disconnected. Where the number of connections reaches its limit, the one that has waited
longest for a request is closed to make room: half-sent requests cannot keep others out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from tuner_service.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Most connections, and time-outs in seconds."""

    in_all: int
    per_address: int
    shared_addresses: frozenset[str]
    """Addresses of proxies, through which many clients come: only the limit in all holds for them."""
    headers: float
    """Until the headers of a request are complete, from the connection or from the end of the previous response."""
    body: float
    """Until the body of a request is complete, from the end of its headers."""
    write: float
    """Without any progress of the client in reading what was written."""

    @classmethod
    def of(cls, settings: Settings) -> ConnectionLimits:
        """The limits in the settings of the service."""
        return cls(
            in_all=settings.connection_limit,
            per_address=settings.connection_limit_per_address,
            shared_addresses=frozenset(settings.trusted_proxies),
            headers=settings.header_timeout.total_seconds(),
            body=settings.body_timeout.total_seconds(),
            write=settings.write_timeout.total_seconds(),
        )


class Connection(H11Protocol):
    """One connection of HTTP/1.1, which `close_overdue` closes when its client is too slow.

    Args:
        limits: Of all connections of the server.
        uvicorn: What uvicorn passes to its protocols.
    """

    def __init__(self, *, limits: ConnectionLimits, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._limits = limits
        self._waits_since = self._read_at = self.loop.time()
        self._receives_body = False
        self.is_aborted = False

    @property
    def address(self) -> str:
        """The address of the client, or of the proxy that it uses."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, and make room for it."""
        super().connection_made(transport)
        connections = [each for each in self.connections if isinstance(each, Connection) and not each.is_aborted]
        _make_room(connections, limit=self._limits.in_all)
        if self.address not in self._limits.shared_addresses:
            own = [each for each in connections if each.address == self.address]
            _make_room(own, limit=self._limits.per_address)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._waits_since, self._receives_body = self.loop.time(), False
        super().on_response_complete()

    def handle_events(self) -> None:
        """Parse what was received."""
        super().handle_events()
        receives_body = self.conn.their_state is h11.SEND_BODY
        if receives_body and not self._receives_body:
            self._waits_since = self.loop.time()
        self._receives_body = receives_body

    def resume_writing(self) -> None:
        """The client has read most of what was written."""
        self._read_at = self.loop.time()
        super().resume_writing()

    def waits_since(self) -> float | None:
        """When the connection began to wait for a request or for the rest of one; ``None`` while it does not wait."""
        waits = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.flow.read_paused
        return self._waits_since if waits else None

    def overdue(self, now: float) -> str | None:
        """The time-out that the client has exceeded; ``None`` within all of them."""
        if not self.transport.get_write_buffer_size():
            self._read_at = now
        elif now - self._read_at > self._limits.write:
            return "write"
        since = self.waits_since()
        if since is None:
            return None
        seconds = self._limits.body if self._receives_body else self._limits.headers
        return ("body" if self._receives_body else "headers") if now - since > seconds else None

    def abort(self) -> None:
        """Disconnect the client at once; what was not written yet is lost."""
        self.is_aborted = True
        self.transport.abort()


def close_overdue(connections: Iterable[object], *, now: float) -> None:
    """Disconnect the clients that have exceeded a time-out.

    Args:
        connections: Those of the server; those of other protocols are left alone.
        now: Time of the event loop.
    """
    exceeded = [(each.overdue(now), each) for each in connections if isinstance(each, Connection)]
    overdue = [(timeout, each) for timeout, each in exceeded if timeout is not None]
    for _, connection in overdue:
        connection.abort()
    if overdue:
        log.info("connections.timed_out", **Counter(timeout for timeout, _ in overdue))


def disconnect(connections: Iterable[object], *, waiting_only: bool = False) -> None:
    """Disconnect clients.

    Args:
        connections: Those of the server; those of other protocols are left alone.
        waiting_only: Only those that have not completed a request.
    """
    for connection in [each for each in connections if isinstance(each, Connection)]:
        if not waiting_only or connection.waits_since() is not None:
            connection.abort()


def _make_room(connections: list[Connection], *, limit: int) -> None:
    """Close the connection that has waited longest for a request, where there are more than ``limit``."""
    if len(connections) <= limit:
        return
    waiting = [(since, id(each), each) for each in connections if (since := each.waits_since()) is not None]
    if waiting:  # the new connection is one of them: where all others are at work it is the one that is closed
        min(waiting)[2].abort()
