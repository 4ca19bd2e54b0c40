"""A TCP proxy on loopback whose connections can be cut, or left half open: nothing passes, and nothing is closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

_BLOCK = 1 << 16

Connect = Callable[[], Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Proxy:
    """Forwards a port of its own to a target, until it is closed.

    Args:
        connect: Opens a connection to the target; the target may come and go.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._refuses = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._passes, self._server = self._do(self._start())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Reset every connection."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Reset every connection, and each new one at once, until `restore`."""
        self._refuses = True
        self.cut()

    def stall(self) -> None:
        """Let nothing pass until `restore`; connections stay open, and new ones are accepted."""
        self._do(self._set(passes=False))

    def restore(self) -> None:
        """Let everything pass again, on connections that are still open."""
        self._refuses = False
        self._do(self._set(passes=True))

    def close(self) -> None:
        """End the proxy and its connections."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _start(self) -> tuple[asyncio.Event, asyncio.Server]:
        passes = asyncio.Event()
        passes.set()
        return passes, await asyncio.start_server(self._forward, "127.0.0.1", 0)

    async def _set(self, *, passes: bool) -> None:
        if passes:
            self._passes.set()
        else:
            self._passes.clear()

    async def _cut(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        await self._cut()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            target_reader, target_writer = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, target_writer}
        self._writers |= ends
        try:
            await asyncio.gather(self._pump(reader, target_writer), self._pump(target_reader, writer))
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while block := await reader.read(_BLOCK):
                await self._passes.wait()
                writer.write(block)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
