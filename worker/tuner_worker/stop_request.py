"""The wish to stop: set by a signal, seen by whoever waits."""

from __future__ import annotations

import os
import selectors
import signal
from types import FrameType
from typing import Self


class StopRequest:
    """Whether the worker was asked to stop. Asked twice, it stops at once: ``KeyboardInterrupt`` in the main thread."""

    def __init__(self) -> None:
        self._requested = False
        self._read_fd, self._write_fd = os.pipe()

    @property
    def requested(self) -> bool:
        """Whether it was asked to stop."""
        return self._requested

    @property
    def fd(self) -> int:
        """A file descriptor that is readable once it was asked, to wait on."""
        return self._read_fd

    def request(self) -> None:
        """Ask to stop. ClaimRequest again changes nothing."""
        if not self._requested:
            self._requested = True
            os.write(self._write_fd, b"x")

    def wait(self, seconds: float) -> None:
        """Wait so long, or until asked to stop."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._read_fd, selectors.EVENT_READ)
            selector.select(seconds)

    def on_signals(self) -> Self:
        """Let SIGTERM and SIGINT ask, from now on; call it in the main thread."""
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
