"""Runs the application under uvicorn, prints its address, and stops it without waiting for open event streams."""

from __future__ import annotations

import asyncio
import gc
import math
import socket
import sys
import threading
from functools import partial
from typing import Final, cast

import uvicorn
from fastapi import FastAPI

from tuner_service.limits.connections import Connection, ConnectionLimits, ConnectionTable, close_overdue, disconnect
from tuner_service.settings import Settings

_TICKS_PER_SECOND: Final = 10
_ACCEPTED_TOGETHER: Final = 100
"""Connections that are accepted before others are read from: with more, a flood of them would close them unread."""
_QUEUED: Final = 1_024
"""Connections that wait to be accepted; clients whose connections the system drops try again after seconds."""
_CANCEL_SECONDS: Final = 2
"""Time for requests to end after their clients were disconnected; then they are cancelled."""


class Server(uvicorn.Server):
    """One process that serves one application.

    Args:
        app: The application.
        settings: Contain the address, and the grace period of the shutdown.
        closing: Set when the server begins to stop.
    """

    def __init__(self, app: FastAPI, *, settings: Settings, closing: threading.Event) -> None:
        self._closing = closing
        self._grace_seconds = settings.shutdown_grace.total_seconds()
        table = ConnectionTable(ConnectionLimits.of(settings))
        super().__init__(
            uvicorn.Config(
                app,
                # A type in uvicorn's signature, which it only calls.
                http=cast(type[asyncio.Protocol], partial(Connection, table=table)),
                ws="none",
                backlog=_ACCEPTED_TOGETHER,
                host=settings.host.strip("[]"),
                port=settings.port,
                log_config=None,
                access_log=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                server_header=False,
                timeout_graceful_shutdown=math.ceil(self._grace_seconds) + _CANCEL_SECONDS,
            )
        )

    @property
    def address(self) -> str:
        """The URL of the server; known once it has started."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and print the address."""
        await super().startup(sockets=sockets)
        for server in self.servers:
            for listening in server.sockets:
                # asyncio has one number for both; the queue belongs to the system's socket, which the copy shares.
                with socket.fromfd(listening.fileno(), listening.family, listening.type) as same:
                    same.listen(_QUEUED)
        # Loaded modules stay: without the freeze, each full collection would delay requests by a tenth of a second.
        gc.collect()
        gc.freeze()
        if self.started:
            sys.stdout.write(f"Schedule Tuner listens on {self.address} (API: {self.address}/openapi.json)\n")
            sys.stdout.flush()

    async def on_tick(self, counter: int) -> bool:
        """Disconnect the clients that are too slow, once a second."""
        if counter % _TICKS_PER_SECOND == 0:
            close_overdue(self.server_state.connections, now=asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the open event streams, then the server.

        Clients that have not completed their requests are disconnected at once, the others at the end of the grace
        period.
        """
        self._closing.set()
        connections = self.server_state.connections
        disconnect(connections, waiting_only=True)
        asyncio.get_running_loop().call_later(self._grace_seconds, disconnect, connections)
        await super().shutdown(sockets=sockets)
