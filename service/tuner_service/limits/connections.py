"""Limits of the connections of our own server, with or without a proxy before it: how many, and how slow they may be.

A connection waits for a request, or for the rest of one, or a request runs, or its response is written. A client that
is slower than the time-outs is disconnected. Where the number of connections exceeds its limit, the one that has waited
longest for a request is closed to make room: half-sent requests cannot keep others out.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from tuner_service.auth.addresses import is_among, network_of
from tuner_service.settings import Settings

MAX_HEADER_BYTES: Final = 16_384
_FREE_CHUNKS: Final = 1_000
_MIN_CHUNK_BYTES: Final = 32
"""Mean size of the chunks of a body that has more than the free ones."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Most connections, and time-outs in seconds."""

    in_all: int
    per_address: int
    proxies: frozenset[str]
    """Addresses and networks of proxies, through which many clients come: only the limit in all holds for them."""
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
            proxies=frozenset(settings.trusted_proxies),
            headers=settings.header_timeout.total_seconds(),
            body=settings.body_timeout.total_seconds(),
            write=settings.write_timeout.total_seconds(),
        )


class Parser(h11.Connection):
    """The parser of a connection, which refuses bodies of very many very small chunks: each costs as much as a big one.

    Args:
        max_header_bytes: Of one request.
    """

    def __init__(self, *, max_header_bytes: int) -> None:
        super().__init__(h11.SERVER, max_header_bytes)
        self._chunks = self._chunk_bytes = 0

    def next_event(self) -> Any:
        """The next part of a request.

        Raises:
            h11.RemoteProtocolError: It is malformed, or its chunks are too small.
        """
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = self._chunk_bytes = 0
        elif isinstance(event, h11.Data):
            self._chunks += 1
            self._chunk_bytes += len(event.data)
            if self._chunks > _FREE_CHUNKS and self._chunk_bytes < _MIN_CHUNK_BYTES * self._chunks:
                raise h11.RemoteProtocolError(f"{self._chunks} chunks of {self._chunk_bytes} bytes")
        return event


class ConnectionTable:
    """The open connections of a server by address, and those that wait for a request in the order in which they began.

    Args:
        limits: Of the connections.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._open: Counter[str] = Counter()
        self._waiting: dict[Connection, None] = {}
        self._waiting_of: defaultdict[str, dict[Connection, None]] = defaultdict(dict)

    def add(self, connection: Connection) -> None:
        """Add a connection, which waits for a request, and close another one if there are too many."""
        self._open[connection.address] += 1
        self.wait(connection)
        # The new one is the last in both orders: it is closed itself where requests of all others run.
        if self._open.total() > self.limits.in_all:
            next(iter(self._waiting)).abort()
        own = connection.address
        if self._open[own] > self.limits.per_address and not connection.is_proxy:
            next(iter(self._waiting_of[own]), connection).abort()

    def remove(self, connection: Connection) -> None:
        """Remove a connection that was closed or aborted; removing it again changes nothing."""
        if connection.is_open:
            connection.is_open = False
            self.run(connection)
            self._open[connection.address] -= 1
            self._open += Counter()  # drops addresses without connections

    def wait(self, connection: Connection) -> None:
        """Note that a connection begins to wait for a request, or for the rest of one."""
        self.run(connection)
        self._waiting[connection] = None
        self._waiting_of[connection.address][connection] = None

    def run(self, connection: Connection) -> None:
        """Note that a connection does not wait any more."""
        self._waiting.pop(connection, None)
        own = self._waiting_of[connection.address]
        own.pop(connection, None)
        if not own:
            del self._waiting_of[connection.address]


class Connection(H11Protocol):
    """One connection of HTTP/1.1, which `close_overdue` closes when its client is too slow.

    Args:
        table: All connections of the server.
        uvicorn: What uvicorn passes to its protocols.
    """

    def __init__(self, *, table: ConnectionTable, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self.conn = Parser(max_header_bytes=MAX_HEADER_BYTES)
        self._table = table
        self._waits_since = self._read_at = self.loop.time()
        self._receives_body = False
        self.address = ""
        """Of the client, or of the proxy that it uses."""
        self.is_proxy = self.is_open = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, and make room for it."""
        super().connection_made(transport)
        if self.client is not None:
            self.address = network_of(self.client[0])
            self.is_proxy = is_among(self.client[0], self._table.limits.proxies)
        self.is_open = True
        self._table.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._table.remove(self)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._begin_to_wait(body=False)
        super().on_response_complete()

    def handle_events(self) -> None:
        """Parse what was received."""
        super().handle_events()
        receives_body = self.conn.their_state is h11.SEND_BODY
        if receives_body and not self._receives_body:
            self._begin_to_wait(body=True)
        elif not receives_body and self.conn.their_state is not h11.IDLE:
            self._receives_body = False
            self._table.run(self)

    def send_400_response(self, msg: str) -> None:
        """Respond to a malformed request; without a word where its response has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.abort()

    def resume_writing(self) -> None:
        """The client has read most of what was written."""
        self._read_at = self.loop.time()
        super().resume_writing()

    @property
    def waits(self) -> bool:
        """Whether the connection waits for a request, or for the rest of one."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.flow.read_paused

    def overdue(self, now: float) -> str | None:
        """The time-out that the client has exceeded; ``None`` within all of them."""
        limits = self._table.limits
        if not self.transport.get_write_buffer_size():
            self._read_at = now
        elif now - self._read_at > limits.write:
            return "write"
        seconds = limits.body if self._receives_body else limits.headers
        if self.waits and now - self._waits_since > seconds:
            return "body" if self._receives_body else "headers"
        return None

    def abort(self) -> None:
        """Disconnect the client at once; what was not written yet is lost."""
        self._table.remove(self)
        self.transport.abort()

    def _begin_to_wait(self, *, body: bool) -> None:
        self._waits_since, self._receives_body = self.loop.time(), body
        if self.is_open:
            self._table.wait(self)


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
        if not waiting_only or connection.waits:
            connection.abort()
