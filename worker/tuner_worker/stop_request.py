"""A stop request, set by SIGTERM or SIGINT."""

from __future__ import annotations

import os
import selectors
import signal
from types import FrameType
from typing import Self


class StopRequest:
    """Whether the worker must stop. A second signal stops it at once: ``KeyboardInterrupt`` in the main thread."""

    def __init__(self) -> None:
        self._requested = False
        self._read_fd, self._write_fd = os.pipe()

    @property
    def requested(self) -> bool:
        """Whether the stop was requested."""
        return self._requested

    @property
    def fd(self) -> int:
        """A file descriptor that becomes readable with the request."""
        return self._read_fd

    def request(self) -> None:
        """Request the stop. A second call changes nothing."""
        if not self._requested:
            self._requested = True
            os.write(self._write_fd, b"x")

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the stop is requested."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._read_fd, selectors.EVENT_READ)
            selector.select(seconds)

    def on_signals(self) -> Self:
        """Let SIGTERM and SIGINT request the stop from now on. To be called in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)
        return self

    def close(self) -> None:
        """Free the descriptors."""
        os.close(self._read_fd)
        os.close(self._write_fd)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self.request()
